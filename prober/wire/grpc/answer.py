"""What came back from a call: grpcio's word for it, and what stood on the wire. No I/O."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from hpack import Decoder
from hpack.exceptions import HPACKError

from prober.wire.http.guard import MAX_HEAD

#: The trailer with a google.rpc.Status (github.com/googleapis/googleapis, google/rpc/status.proto).
_DETAILS: Final = "grpc-status-details-bin"
#: Details and trailers that are kept of one answer.
_MOST: Final = 16
_PADDED, _PRIORITY = 0x8, 0x20


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a call. `code` is the name of a gRPC status; `payload` is the message that came with OK."""

    code: str
    message: str = ""
    trailers: tuple[tuple[str, str | bytes], ...] = ()
    payload: bytes | None = None

    def shown_trailers(self) -> dict[str, str]:
        """The trailers as people may see them: binary ones as base64, without what is said elsewhere."""
        shown = {}
        for name, value in self.trailers[:_MOST]:
            if name != _DETAILS:
                shown[name] = value if isinstance(value, str) else base64.b64encode(value).decode("ascii")
        return shown

    def details(self) -> list[str]:
        """The types of the rich error's details (google.rpc.Status), as `google.rpc.RetryInfo`."""
        for name, value in self.trailers:
            if name == _DETAILS and isinstance(value, bytes):
                return [_type_of(piece) for number, piece in _fields(value) if number == 3][:_MOST]
        return []


@dataclass(frozen=True, slots=True)
class Response:
    """One response as it stood on the wire, from its header sections. `status` is 0 where there was none."""

    status: int = 0
    content_type: str = ""
    grpc_status: str | None = None
    """The number that the server itself gave."""
    server: str = ""
    alone: bool = False
    """The status is in its only header section (PROTOCOL-HTTP2.md: Trailers-Only)."""

    @property
    def is_grpc(self) -> bool:
        """Whether it is gRPC at all (PROTOCOL-HTTP2.md: status 200 and application/grpc)."""
        return self.status == 200 and self.content_type.startswith("application/grpc")


def read_response(blocks: Sequence[bytes]) -> Response | None:
    """The response in the whole header frames of one stream; None where they cannot be decoded, or there are none."""
    decoder = Decoder(max_header_list_size=MAX_HEAD)
    fields: dict[str, str] = {}
    try:
        for block in blocks:
            for name, value in decoder.decode(block, raw=True):
                fields.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    except (HPACKError, IndexError):
        return None
    if not fields:
        return None
    status = fields.get(":status", "")
    grpc_status = fields.get("grpc-status")
    return Response(
        int(status) if status.isdecimal() else 0, fields.get("content-type", ""), grpc_status,
        fields.get("server", ""), len(blocks) == 1 and grpc_status is not None,
    )  # fmt: skip


def header_block(flags: int, payload: bytes) -> bytes:
    """What is HPACK in the payload of a HEADERS frame (RFC 9113 section 6.2)."""
    end = len(payload)
    start = 0
    if flags & _PADDED and payload:
        start, end = 1, end - payload[0]
    if flags & _PRIORITY:
        start += 5
    return payload[start : max(start, end)]


class _Field(NamedTuple):
    number: int
    piece: bytes


def _fields(data: bytes) -> list[_Field]:
    """The length-delimited fields of a protobuf message; what is no message has none."""
    found: list[_Field] = []
    position = 0
    try:
        while position < len(data):
            tag, position = _varint(data, position)
            if tag & 7 == 0:
                _, position = _varint(data, position)
            elif tag & 7 == 2:
                length, position = _varint(data, position)
                found.append(_Field(tag >> 3, data[position : position + length]))
                position += length
            else:
                break
    except IndexError:
        pass
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80 or shift > 63:
            return value, position


def _type_of(detail: bytes) -> str:
    try:
        return any_pb2.Any.FromString(detail).type_url.rpartition("/")[2][:100]
    except DecodeError:
        return "unreadable"
