"""gRPC on an open stream: grpcio speaks it, our streams carry it. What an answer is worth is not decided here.

grpcio opens its connections itself and cannot be handed one. So it gets one connection to ourselves, over a local
socket (`bridge`), and what it says there in HTTP/2 frames is said again on the stream of the climb (`carrier`).
"""

from __future__ import annotations

from prober.wire.grpc.answer import Answer, Response
from prober.wire.grpc.bridge import Bridges
from prober.wire.grpc.talk import Duplex, Talk

__all__ = ["Answer", "Bridges", "Duplex", "Response", "Talk"]
