"""The words that protocols exchange before TLS begins on a connection of theirs. One row each; nothing is judged.

A dialogue ends right where the ClientHello may go out. Whatever the peer sent after its go-ahead would have come in the
clear, and could be anybody's (CVE-2011-0411, CVE-2021-23222): it ends the dialogue.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from prober.wire.stream import Stream

#: Bytes that a peer may send before TLS, and characters of its words that are kept.
MAX_TALK: Final = 16 * 1024
_KEPT: Final = 200
#: How we call ourselves where a protocol wants a name: an address literal without meaning (RFC 5321 section 4.1.3).
_OURSELVES: Final = b"[127.0.0.1]"

Said = MutableMapping[str, Any]
"""What goes into the evidence: `answer`, the last thing that the server said; `waiting_for`, while it says nothing."""
Dialogue = Callable[[Stream, str, Said], Awaitable[None]]


class StarttlsError(Exception):
    """TLS was not let begin. `closed`: the peer hung up instead of answering."""

    def __init__(self, text: str, *, closed: bool = False) -> None:
        super().__init__(text)
        self.closed = closed


class _Talk:
    """One side of a dialogue in progress: reads bounded answers from a stream."""

    def __init__(self, stream: Stream, said: Said) -> None:
        self._stream = stream
        self._said = said
        self._read = 0
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        """Send `data`."""
        await self._stream.send(data)

    async def exactly(self, size: int, what: str) -> bytes:
        """The next `size` bytes, which are a `what`."""
        while len(self._buffer) < size:
            await self._more(what)
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    async def until(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        """Everything up to the end of the first match of `pattern`."""
        while (match := pattern.search(self._buffer)) is None:
            await self._more(what)
        taken, self._buffer = self._buffer[: match.end()], self._buffer[match.end() :]
        return taken

    async def _more(self, what: str) -> None:
        self._said["waiting_for"] = what
        data = await self._stream.receive()
        if not data:
            raise StarttlsError(f"hung up instead of its {what}", closed=True)
        self._read += len(data)
        self._buffer += data
        if self._read > MAX_TALK:
            self.heard(self._buffer)
            raise StarttlsError(f"its {what} never ends")
        del self._said["waiting_for"]

    def heard(self, answer: bytes) -> str:
        """Keep `answer` as evidence; as text."""
        text = " ".join(answer.decode("utf-8", "replace").split())[:_KEPT]
        self._said["answer"] = text
        return text

    def refuse(self, answer: bytes) -> StarttlsError:
        """The error for an answer that is no go-ahead."""
        return StarttlsError(f"it answered: {self.heard(answer) or 'nothing at all'}")

    def end(self) -> None:
        """The go-ahead was given: nothing else may be there."""
        if self._buffer:
            raise StarttlsError("it said more in the clear after its go-ahead for TLS")


#: An answer of SMTP and FTP: lines with a code, the last one without a hyphen behind it (RFC 5321 section 4.2.1).
_REPLY = re.compile(rb"(?m)^\d{3}(?: [^\r\n]*)?\r?\n")
_LINE = re.compile(rb"\n")


async def _replies(
    steps: tuple[tuple[bytes, bytes, str], ...], stream: Stream, _name: str, said: Said
) -> None:  # fmt: skip
    """SMTP's kind: for each step say something (or nothing), and get a reply that begins with its code."""
    talk = _Talk(stream, said)
    for command, code, what in steps:
        if command:
            await talk.send(command + b"\r\n")
        reply = await talk.until(_REPLY, what)
        talk.heard(reply)
        if not reply.startswith(code):
            raise talk.refuse(reply)
    talk.end()


async def _lines(
    steps: tuple[tuple[bytes, re.Pattern[bytes], bytes, str], ...], stream: Stream, _name: str, said: Said
) -> None:  # fmt: skip
    """IMAP's kind: a step's answer ends with the first line of a form, which begins with its word."""
    talk = _Talk(stream, said)
    for command, form, word, what in steps:
        if command:
            await talk.send(command + b"\r\n")
        answer = await talk.until(form, what)
        last = answer.rstrip(b"\r\n").rpartition(b"\n")[2]
        talk.heard(last)
        if not last.upper().startswith(word):
            raise talk.refuse(last)
    talk.end()


async def _postgres(stream: Stream, _name: str, said: Said) -> None:
    """SSLRequest, answered by one letter (PostgreSQL manual, "Message Flow", SSL Session Encryption)."""
    talk = _Talk(stream, said)
    await talk.send((8).to_bytes(4) + (80877103).to_bytes(4))
    letter = await talk.exactly(1, "answer to SSLRequest")
    talk.heard(letter)
    if letter == b"E":  # an ErrorResponse: length, then fields; M is its message
        size = min(int.from_bytes(await talk.exactly(4, "error message")), MAX_TALK)
        fields = (await talk.exactly(max(size - 4, 0), "error message")).split(b"\0")
        raise talk.refuse(next((field[1:] for field in fields if field[:1] == b"M"), b"an error"))
    if letter == b"N":
        raise StarttlsError("it answered N: SSL is switched off there")
    if letter != b"S":
        raise talk.refuse(letter)
    talk.end()


_CLIENT_SSL: Final = 0x800
#: CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION.
_CAPABILITIES: Final = 0x1 | 0x200 | _CLIENT_SSL | 0x8000


async def _mysql(stream: Stream, _name: str, said: Said) -> None:
    """The server greets with its capabilities; SSLRequest takes it at its word (MySQL protocol, Connection Phase)."""
    talk = _Talk(stream, said)
    head = await talk.exactly(4, "greeting")
    size = int.from_bytes(head[:3], "little")
    if size > MAX_TALK:
        raise talk.refuse(head)
    greeting = await talk.exactly(size, "greeting")
    if greeting[:1] == b"\xff":  # an error packet: two bytes of number, then text
        raise talk.refuse(greeting[3:])
    version, _, rest = greeting[1:].partition(b"\0")
    talk.heard(version)
    if greeting[:1] != b"\x0a" or len(rest) < 15:  # thread id 4, scramble 8, filler 1, capabilities 2
        raise talk.refuse(greeting[:40])
    if not int.from_bytes(rest[13:15], "little") & _CLIENT_SSL:
        raise StarttlsError(f"MySQL {said['answer']} does not offer it")
    request = _CAPABILITIES.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + b"\x21" + bytes(23)
    await talk.send(len(request).to_bytes(3, "little") + bytes([head[3] + 1 & 0xFF]) + request)
    talk.end()


_STARTTLS_OID: Final = b"1.3.6.1.4.1.1466.20037"


async def _ldap(stream: Stream, _name: str, said: Said) -> None:
    """The extended operation of RFC 4511 section 4.14; its answer is BER with a resultCode."""
    talk = _Talk(stream, said)
    operation = b"\x80" + bytes([len(_STARTTLS_OID)]) + _STARTTLS_OID
    message = b"\x02\x01\x01\x77" + bytes([len(operation)]) + operation
    await talk.send(b"\x30" + bytes([len(message)]) + message)
    head = await talk.exactly(2, "answer to StartTLS")
    if head[0] != 0x30:
        raise talk.refuse(head)
    size = head[1]
    if size & 0x80:
        size = int.from_bytes(await talk.exactly(size & 0x7F, "answer to StartTLS"))
    answer = await talk.exactly(min(size, MAX_TALK), "answer to StartTLS")
    found = re.search(rb"\x78(?:[\x00-\x7f]|\x81.|\x82..|\x84....)\x0a\x01(.)(.*)", answer, re.DOTALL)
    if found is None:
        raise talk.refuse(answer)
    talk.heard(b"resultCode %d" % found[1][0])
    if found[1] != b"\0":
        words = b" ".join(re.findall(rb"[ -~]{6,}", found[2]))
        raise talk.refuse(b"resultCode %d %s" % (found[1][0], words))
    talk.end()


async def _xmpp(namespace: bytes, stream: Stream, name: str, said: Said) -> None:
    """The stream's opening, its features, then STARTTLS (RFC 6120 section 5.4)."""
    talk = _Talk(stream, said)
    await talk.send(
        b"<stream:stream xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams' to=%s version='1.0'>"
        % (namespace, quoteattr(name).encode())
    )
    features = await talk.until(re.compile(rb"</stream:features>|<stream:features/>|</stream:stream>"), "features")
    if b"urn:ietf:params:xml:ns:xmpp-tls" not in features:
        raise talk.refuse(features[-_KEPT:])
    await talk.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    answer = await talk.until(re.compile(rb"<(?:proceed|failure|stream:error)\b[^>]*>"), "answer to starttls")
    talk.heard(answer)
    if b"<proceed" not in answer:
        raise talk.refuse(answer)
    talk.end()


_EHLO, _TAGGED = b"EHLO " + _OURSELVES, re.compile(rb"(?m)^a1 [^\r\n]*\r?\n")
#: Protocol, as in `openssl s_client -starttls`, → its dialogue. It raises StarttlsError or the OSError of the stream.
DIALOGUES: Final[Mapping[str, Dialogue]] = {
    "smtp": partial(_replies, ((b"", b"220", "greeting"), (_EHLO, b"250", "answer to EHLO"),
                               (b"STARTTLS", b"220", "answer to STARTTLS"))),
    "lmtp": partial(_replies, ((b"", b"220", "greeting"), (b"LHLO " + _OURSELVES, b"250", "answer to LHLO"),
                               (b"STARTTLS", b"220", "answer to STARTTLS"))),
    "ftp": partial(_replies, ((b"", b"220", "greeting"), (b"AUTH TLS", b"234", "answer to AUTH TLS"))),
    "imap": partial(_lines, ((b"", _LINE, b"* OK", "greeting"), (b"a1 STARTTLS", _TAGGED, b"A1 OK",
                                                                "answer to STARTTLS"))),
    "pop3": partial(_lines, ((b"", _LINE, b"+OK", "greeting"), (b"STLS", _LINE, b"+OK", "answer to STLS"))),
    "postgres": _postgres,
    "mysql": _mysql,
    "ldap": _ldap,
    "xmpp": partial(_xmpp, b"jabber:client"),
    "xmpp-server": partial(_xmpp, b"jabber:server"),
}  # fmt: skip
