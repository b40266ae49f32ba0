"""HTTP/2 and gRPC servers that mean harm, as frames (RFC 9113; CVE-2019-9511 to 9518, -2023-44487, -2024-27316)."""

from __future__ import annotations

from tests.support.hostile import SHORT, Hostile, K, L, R, drips, floods, says
from tests.support.http import frame
from tests.support.threaded import Talk

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
START = frame(SETTINGS)
STATUS_200 = b"\x88"  # HPACK, static table index 8
HEAD = frame(HEADERS, STATUS_200, flags=4, stream=1)
_OPEN = frame(HEADERS, STATUS_200, stream=1)  # to be continued
_LITERAL = b"\0\1x\x7f\x81\7" + b"y" * 1000
#: 4000 bytes into the dynamic table, then named ten thousand times.
_BOMB = STATUS_200 + b"\x40\1x\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 10000

_FIVE = b"".join(number.to_bytes(2) + (1 << 14).to_bytes(4) for number in range(1, 6))

#: What is sent after the request → (beginning, unit without end).
FLOODS: dict[str, tuple[bytes, bytes]] = {
    "settings": (START, frame(SETTINGS)),
    "settings of five each": (START, frame(SETTINGS, _FIVE)),
    "settings acknowledged": (START, frame(SETTINGS, flags=1)),
    "ping": (START, frame(PING, bytes(8))),
    "continuation without bytes": (START + _OPEN, frame(CONTINUATION, stream=1)),
    "continuation with fields": (START + _OPEN, frame(CONTINUATION, _LITERAL, stream=1)),
    "resets of other streams": (START, frame(RST, bytes(4), stream=3)),
    "window updates": (START, frame(WINDOW, b"\0\0\0\1")),
    "window updates of the stream": (START, frame(WINDOW, b"\0\0\0\1", stream=1)),
    "priorities": (START, frame(PRIORITY, bytes(5), stream=1)),
    "pushes": (START, frame(PUSH, bytes(4) + STATUS_200, flags=4, stream=1)),
    "goaways that spare us": (START, frame(GOAWAY, b"\0\0\0\1" + bytes(4))),
    "unknown frames": (START, frame(0xBE, b"x" * 100)),
    "a header bomb": (START, frame(HEADERS, _BOMB, flags=4, stream=1)),
    "1xx": (START, frame(HEADERS, b"\x08\x03103", flags=4, stream=1)),
    "empty data": (START + HEAD, frame(DATA, stream=1)),
    "padding alone": (START + HEAD, frame(DATA, b"\xff" + bytes(255), flags=8, stream=1)),
    "a frame of 16 MiB": (START, b"\xff\xff\xff\0\0\0\0\0\1"),
    "garbage": (START, bytes(range(256))),
}  # fmt: skip

GRPC_HEAD = frame(HEADERS, STATUS_200 + b"\0\x0ccontent-type\x10application/grpc", flags=4, stream=1)
#: A gRPC message of 1 GiB is announced, and some of it sent.
_GIANT = b"\0" + (1 << 30).to_bytes(4)


def _h2(talk: Talk, *reasons: R, timeout: float = 3.0) -> Hostile:
    return Hostile(K.HTTP, "http", talk, (L.HTTP, reasons), timeout, options={"http": {"version": "2"}})


def _grpc(talk: Talk, *reasons: R, timeout: float = 3.0) -> Hostile:
    return Hostile(K.GRPC, "grpc", talk, (L.GRPC, reasons), timeout)


#: Any word of the grpc layer for a peer that breaks the rules or does not answer in time.
_BROKEN = (R.NOT_GRPC, R.UNAVAILABLE, R.STATUS, R.GOAWAY, R.TIMEOUT)

PEERS = {
    **{f"http2: {name}": _h2(floods(unit, beginning), R.PROTOCOL) for name, (beginning, unit) in FLOODS.items()},
    "http2: resets of our stream": _h2(floods(frame(RST, b"\0\0\0\7", stream=1), START), R.STREAM_RESET),
    "http2: an endless body": _h2(floods(frame(DATA, b"a" * 16000, stream=1), START + HEAD), R.BODY, R.PROTOCOL),
    "http2: a head that drips": _h2(
        drips(_BOMB * 9, beginning=START + b"\0\x40\0\1\4\0\0\0\1"), R.TIMEOUT, timeout=SHORT
    ),
    "http2: a body that drips": _h2(
        drips(frame(DATA, b"a" * 99, stream=1), beginning=START + HEAD), R.TIMEOUT, timeout=SHORT
    ),
    "http2: a window of nothing": _h2(says([frame(SETTINGS, b"\0\4" + bytes(4))]), R.TIMEOUT, timeout=SHORT),
    **{f"grpc: {name}": _grpc(floods(unit, beginning), *_BROKEN, timeout=SHORT * 2)
       for name, (beginning, unit) in FLOODS.items()},
    "grpc: a message of 1 GiB": _grpc(
        floods(frame(DATA, bytes(16000), stream=1), START + GRPC_HEAD + frame(DATA, _GIANT, stream=1)),
        *_BROKEN, timeout=SHORT * 2,
    ),
    "grpc: tiny messages": _grpc(
        floods(frame(DATA, b"\0\0\0\0\2\x08\1", stream=1), START + GRPC_HEAD), *_BROKEN, timeout=SHORT * 2
    ),
    "grpc: a message that drips": _grpc(
        drips(frame(DATA, b"\0" * 9, stream=1), beginning=START + GRPC_HEAD), *_BROKEN, timeout=SHORT
    ),
    "grpc: plain garbage": _grpc(floods(bytes(range(256)), awaits=False), *_BROKEN, timeout=SHORT * 2),
}  # fmt: skip
