"""The grpc rung: calls on the connection that the rungs below opened. Held: the health service says SERVING, the
watched status stays so, or the call ends as expected.

The layer's time is the call's alone, from its first byte to the last segment of its answer; what is asked of
reflection before it is evidence.
"""

from __future__ import annotations

from prober.layers.base import Ascent, Failed
from prober.layers.grpc.call import call_method
from prober.layers.grpc.judge import Metadata, broken_reason, ended_as_expected, judge_status, message_of, rest_of
from prober.layers.grpc.watch import watch
from prober.layers.http.rung import authority, broken_off
from prober.options import reveal
from prober.reasons import Reason
from prober.wire.grpc import Bridges, Talk
from prober.wire.grpc.health import CHECK, health_request
from prober.wire.http.errors import HttpBroken, peer_speaks


async def check(ascent: Ascent) -> None:
    """Make the calls of `grpc:` and judge how they end."""
    if ascent.stream is None:
        raise Failed(Reason.INTERNAL, "no open connection")
    cell = ascent.cell
    metadata, options = metadata_of(ascent), cell.options.grpc
    scheme = "https" if cell.endpoint.tls else "http"
    try:
        async with ascent.kit.get(Bridges).talk(ascent.stream, options.authority or authority(ascent), scheme) as talk:
            try:
                if options.call is not None:
                    await call_method(ascent, talk, metadata, options.call)
                elif options.watch is not None:
                    await watch(ascent, talk, metadata, options.watch)
                else:
                    await _health(ascent, talk, metadata)
            except HttpBroken as broken:
                raise _broken(ascent, talk, broken) from broken
            finally:
                _note_time(ascent, talk)
    except OSError as error:
        raise Failed(Reason.INTERNAL, f"no local socket for grpcio: {error}") from error


def metadata_of(ascent: Ascent) -> Metadata:
    """The metadata that `grpc:` asks for, secrets revealed and from now on hidden."""
    metadata: Metadata = []
    for name, value in ascent.cell.options.grpc.metadata.items():
        try:
            text = reveal(value)
        except OSError as error:
            raise Failed(Reason.INTERNAL, f"metadata {name} can't be read: {error}") from error
        if not isinstance(value, str):
            ascent.hide(text, str(value))
        if name.endswith("-bin"):
            metadata.append((name.lower(), text.encode()))
        elif text.isascii() and text.isprintable():
            metadata.append((name.lower(), text))
        else:
            raise Failed(Reason.INTERNAL, f"metadata {name} holds what gRPC does not send: more than printable ASCII")
    return metadata


async def _health(ascent: Ascent, talk: Talk, metadata: Metadata) -> None:
    service = ascent.cell.options.grpc.service
    ascent.evidence["service"] = service
    answer = await talk.unary(CHECK, health_request(service), metadata, rest_of(ascent))
    ended_as_expected(ascent, talk, answer, health=True)
    if answer.code == "OK":
        judge_status(ascent, message_of(answer))


def _broken(ascent: Ascent, talk: Talk, broken: HttpBroken) -> Failed:
    """The failure behind a connection that broke under the call."""
    broken_off(ascent, broken)
    if (speaks := peer_speaks(talk.carrier.first)) not in (None, "HTTP/2"):
        ascent.evidence["peer_speaks"] = speaks
    return Failed(broken_reason(broken, talk.carrier.first), broken.detail)


def _note_time(ascent: Ascent, talk: Talk) -> None:
    record = talk.carrier.record
    if record.seconds is not None:
        ascent.took(record.seconds, kernel=record.kernel)
