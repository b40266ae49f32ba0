"""The http rung: one request on the connection that the rungs below opened, and the judgement of its answer.

A redirect is evidence; where `http.follow` says so the engine climbs on to where it leads. A body is read up to
`http.max_body`.
"""

from __future__ import annotations

import re
from functools import cache
from os import urandom

from prober import __version__
from prober.layers.base import Ascent, Failed, Onward
from prober.layers.credentials import basic, bearer, hide, revealed, stands_for
from prober.layers.excerpt import EXCERPT, shown
from prober.layers.http.evidence import note, note_front_end
from prober.layers.http.judge import REDIRECTS, complaint
from prober.options import Secret, SecretFile
from prober.reasons import Kind, Reason
from prober.wire.http import Call, HttpBroken, HttpClient, Record, Version

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_NOT_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 section 5.5
_ZONE = re.compile(r"%[^]]*")

__all__ = ["asked_fields", "authority", "bearer", "broken_off", "compose", "exchange", "judge", "request"]


async def request(ascent: Ascent) -> None:
    """Send the request of `http:` and hold its answer against `expect:`."""
    endpoint, options = ascent.cell.endpoint, ascent.cell.options.http
    if options.websocket is not None:
        from prober.layers.http.websocket import upgrade  # of few cells, and it speaks on what stands here

        await upgrade(ascent, options.websocket)
        return
    body = _body(ascent, options.body)
    fields = compose(ascent, asked_fields(ascent))
    if options.body is not None or options.method in ("POST", "PUT", "PATCH"):
        fields.setdefault(b"content-length", b"%d" % len(body))
    target = endpoint.resource or "/"
    call = Call(options.method, endpoint.scheme, authority(ascent), target, list(fields.items()), body)
    record, overlong = await exchange(ascent, call)
    if options.follow and record.status in REDIRECTS:
        ascent.onward = Onward(record.value("location") or "", record.status)
        return
    judge(ascent, record, complaint(ascent.cell.expect, record, overlong=overlong))


def compose(ascent: Ascent, asked: dict[str, str]) -> dict[bytes, bytes]:
    """The request's fields in the order they are sent: ours, then those of `asked`, which replace ours."""
    fields = {
        b"host": authority(ascent).encode("ascii"),
        **_defaults(),
        b"x-request-id": (identity := _identity()).encode("ascii"),
    }
    for name, value in asked.items():
        fields[_checked_name(name)] = _checked_value(name, value)
        if name.lower() == "x-request-id":
            identity = shown(ascent, value)
    ascent.evidence["request_id"] = identity
    return fields


def _identity() -> str:
    """A random UUID (RFC 9562 section 5.4), without the object that `uuid` makes of it."""
    text = urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


def authority(ascent: Ascent) -> str:
    """`host[:port]` as it is sent: names in ASCII (RFC 5890), without a zone, which is local (RFC 6874 section 4)."""
    text = ascent.cell.endpoint.authority
    if not text.isascii():
        text = text.encode("idna").decode("ascii")
    return _ZONE.sub("", text) if "%" in text else text


async def exchange(ascent: Ascent, call: Call) -> tuple[Record, bool]:
    """Send `call` on the ascent's stream; the record of the answer, and whether its body was longer than is read.

    Evidence, phases and seconds are set whatever happens. Raises Failed for an exchange that broke.
    """
    if ascent.stream is None:
        raise Failed(Reason.INTERNAL, "no open connection")
    record = Record(limit=ascent.cell.options.http.max_body)
    try:
        await ascent.kit.get(HttpClient).exchange(call, ascent.stream, _version(ascent), record)
    except HttpBroken as broken:
        failure = broken_off(ascent, broken)
        if broken.reason is not Reason.BODY:
            raise failure from broken
        return record, True
    finally:
        note(ascent, record)
    return record, False


def broken_off(ascent: Ascent, broken: HttpBroken) -> Failed:
    """The failure of an exchange that broke, its evidence noted."""
    for name, value in broken.evidence.items():
        ascent.evidence[name] = shown(ascent, value) if isinstance(value, str) else value
    return Failed(broken.reason, broken.detail)


def judge(ascent: Ascent, record: Record, failure: Failed | None) -> None:
    """Raise `failure` if there is one, with a look into the body as evidence."""
    if failure is None:
        return
    note_front_end(ascent, record)
    if record.body:
        ascent.evidence["body"] = shown(ascent, bytes(record.body[: EXCERPT * 20]))
    raise failure


@cache
def _defaults() -> dict[bytes, bytes]:
    return {
        b"user-agent": f"prober/{__version__}".encode(),
        b"accept": b"*/*",
        b"accept-encoding": b"identity",
        b"connection": b"close",
    }


def _version(ascent: Ascent) -> Version:
    """Over TLS what ALPN chose (RFC 7301); in the clear HTTP/2 only by prior knowledge."""
    if ascent.cell.endpoint.tls or ascent.cell.kind is Kind.KUBERNETES:
        return "2" if ascent.alpn == "h2" else "1.1"
    return "2" if ascent.cell.prior_knowledge else "1.1"


def asked_fields(ascent: Ascent) -> dict[str, str]:
    """The fields that `http:` asks for, secrets revealed and from now on hidden."""
    options = ascent.cell.options.http
    asked: dict[str, str] = {}
    if options.basic is not None:
        asked["authorization"] = basic(ascent, options.basic)
    if options.bearer is not None:
        asked["authorization"] = bearer(ascent, revealed(options.bearer), stands_for(options.bearer))
    for name, value in options.headers.items():
        text = revealed(value)
        asked[name] = hide(ascent, text, str(value)) if isinstance(value, SecretFile) else text
    return asked


def _body(ascent: Ascent, body: Secret | None) -> bytes:
    """The bytes to send: text in UTF-8, a file as it is, its text hidden from now on."""
    if not isinstance(body, SecretFile):
        return b"" if body is None else body.encode()
    try:
        content = body.file.read_bytes()
    except OSError as error:
        raise Failed(Reason.INTERNAL, f"cannot read the body {body}: {error.strerror}") from error
    for text in {content.decode("utf-8", "replace"), content.decode("utf-8", "replace").strip()}:
        hide(ascent, text, str(body))
    return content


def _checked_name(name: str) -> bytes:
    if _TOKEN.fullmatch(name) is None:
        raise Failed(Reason.INTERNAL, f"{name!r} is no name of a header field")
    return name.lower().encode("ascii")


def _checked_value(name: str, value: str) -> bytes:
    data = value.strip(" \t").encode()
    if _NOT_IN_VALUE.search(data):
        raise Failed(Reason.INTERNAL, f"the value of {name} holds a control character")
    return data
