"""HTTP/1.1 and HTTP/2 on an open stream, through httpx. What an answer is worth is not decided here."""

from __future__ import annotations

from prober.wire.http.errors import HttpBroken
from prober.wire.http.record import Call, Fields, Record, Version
from prober.wire.http.transport import HttpClient

__all__ = ["Call", "Fields", "HttpBroken", "HttpClient", "Record", "Version"]
