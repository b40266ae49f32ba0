"""STARTTLS: the words before TLS in each protocol, against servers that speak them, and every way to be refused."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable
from typing import get_args

import pytest

from prober.engine.climb import climb
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Kit
from prober.model import Run
from prober.options.tls import Starttls
from prober.reasons import Family, Kind, Layer, Reason
from prober.wire.tls.starttls import DIALOGUES, MAX_TALK
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.threaded import read_to_the_end, reset, serve
from tests.support.tools import require_tool

NAME = "mail.example.com"
#: What a server says and hears, in turn: bytes to send, or a function that says whether what was heard is right.
Script = tuple[bytes | Callable[[bytes], bool], ...]


def hears(*words: bytes) -> Callable[[bytes], bool]:
    return lambda heard: all(word in heard for word in words)


def ldap(result: int, text: bytes = b"") -> bytes:
    """An extended response (RFC 4511 section 4.12)."""
    body = b"\x0a\x01" + bytes([result]) + b"\x04\x00" + b"\x04" + bytes([len(text)]) + text
    operation = b"\x78" + bytes([len(body)]) + body
    return b"\x30" + bytes([len(operation) + 3]) + b"\x02\x01\x01" + operation


def mysql(capabilities: int = 0xFFFF) -> bytes:
    """A greeting of protocol 10."""
    payload = b"\x0a8.4.2\0" + bytes(4) + b"scramble" + b"\0" + capabilities.to_bytes(2, "little") + bytes(31)
    return len(payload).to_bytes(3, "little") + b"\0" + payload


def asks_mysql(heard: bytes) -> bool:
    """An SSLRequest packet: 32 bytes, the second of its conversation, with CLIENT_SSL."""
    return heard[:4] == b"\x20\0\0\1" and heard[5] & 8 == 8


SSL_REQUEST = bytes.fromhex("0000000804d2162f")
EHLO = (b"220-mail ESMTP\r\n220 ready\r\n", hears(b"EHLO [127.0.0.1]\r\n"), b"250-mail\r\n250-STARTTLS\r\n250 OK\r\n",
        hears(b"STARTTLS\r\n"))  # fmt: skip
OPENING = (b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='1'><stream:features>"
           b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>")  # fmt: skip
#: Protocol → what its server says up to the go-ahead.
GOOD: dict[str, Script] = {
    "smtp": (*EHLO, b"220 go ahead\r\n"),
    "lmtp": (b"220 lmtp\r\n", hears(b"LHLO "), b"250 OK\r\n", hears(b"STARTTLS\r\n"), b"220 go ahead\r\n"),
    "imap": (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", hears(b"a1 STARTTLS\r\n"),
             b"* CAPABILITY IMAP4rev1\r\na1 OK begin\r\n"),
    "pop3": (b"+OK ready\r\n", hears(b"STLS\r\n"), b"+OK begin\r\n"),
    "ftp": (b"220-Welcome\r\n 220 is not the end\r\n220 ready\r\n", hears(b"AUTH TLS\r\n"), b"234 begin\r\n"),
    "postgres": (lambda heard: heard == SSL_REQUEST, b"S"),
    "mysql": (mysql(), asks_mysql),
    "ldap": (hears(b"\x80\x161.3.6.1.4.1.1466.20037"), ldap(0)),
    "xmpp": (hears(b"jabber:client", b'to="mail.example.com"'), OPENING, hears(b"<starttls"),
             b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    "xmpp-server": (hears(b"jabber:server"), OPENING, hears(b"<starttls"),
                    b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
}  # fmt: skip


def talk(
    script: Script, context: ssl.SSLContext | None = None, piece: int = 1 << 16
) -> Callable[[socket.socket], None]:
    """Follow `script`, sending at most `piece` bytes at once, then speak TLS if there is a context, else hang up."""

    def speak(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for step in script:
            if isinstance(step, bytes):
                for start in range(0, len(step), piece):
                    sock.sendall(step[start : start + piece])
            elif not step(sock.recv(36 if step is asks_mysql else 65536)):  # its ClientHello follows at once
                sock.sendall(b"\xffthat is not what the script says")
                return
        if context is not None:
            with context.wrap_socket(sock, server_side=True) as tls:
                read_to_the_end(tls)

    return speak


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


async def shake(
    files: CertificateFiles, port: int, protocol: str, family: Family = Family.IPV4, timeout: float = 5.0
) -> Run:  # fmt: skip
    options = {"tls": {"ca_file": str(files.ca_file), "starttls": protocol}}
    cell = make_cell(Kind.TLS, "tls", NAME, port, family=family, timeout=timeout, options=options)
    (run,) = await climb(cell, Kit(), found=[(LOOPBACK[family], port)])
    return run


def test_every_protocol_that_may_be_named_has_its_dialogue_and_its_server_here() -> None:
    assert set(get_args(Starttls)) == set(DIALOGUES) == set(GOOD)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("protocol", GOOD)
async def test_tls_begins_where_the_protocol_lets_it(files: CertificateFiles, protocol: str, family: Family) -> None:
    with serve(family, talk(GOOD[protocol], make_context(files, [NAME]))) as port:
        run = await shake(files, port, protocol, family)
    tls = run.outcomes[-1]
    assert run.ok, tls
    assert tls.evidence["clock"] == "kernel"
    assert tls.evidence["subject"] == NAME
    assert tls.evidence["starttls"]["protocol"] == protocol
    assert 0 <= tls.evidence["starttls"]["seconds"] <= (tls.seconds or 0.0) + 1e-6
    assert "waiting_for" not in tls.evidence["starttls"]


@pytest.mark.parametrize("protocol", GOOD)
async def test_answers_may_come_in_single_bytes(files: CertificateFiles, protocol: str) -> None:
    with serve(Family.IPV4, talk(GOOD[protocol], make_context(files, [NAME]), piece=1)) as port:
        run = await shake(files, port, protocol)
    assert run.ok, run.outcomes[-1]


#: Who refuses → protocol, what it says, and what of it is told.
REFUSALS: dict[str, tuple[str, Script, str]] = {
    "smtp without TLS": ("smtp", (*EHLO, b"454 4.7.0 TLS not available\r\n"), "454 4.7.0 TLS not available"),
    "smtp that is busy": ("smtp", (b"421 too many connections\r\n",), "421 too many connections"),
    "smtp on an HTTP port": ("smtp", (b"HTTP/1.1 400 Bad Request\r\n\r\n",), "hung up instead of its greeting"),
    "imap without TLS": ("imap", (b"* OK hi\r\n", hears(b"STARTTLS"), b"a1 BAD unknown command\r\n"), "a1 BAD unknown"),
    "imap that says bye": ("imap", (b"* BYE overloaded\r\n",), "* BYE overloaded"),
    "pop3 without TLS": ("pop3", (b"+OK\r\n", hears(b"STLS"), b"-ERR no TLS here\r\n"), "-ERR no TLS here"),
    "ftp without TLS": ("ftp", (b"220 hi\r\n", hears(b"AUTH"), b"502 not implemented\r\n"), "502 not implemented"),
    "postgres without SSL": ("postgres", (hears(SSL_REQUEST), b"N"), "it answered N"),
    "postgres with an error": (
        "postgres", (hears(SSL_REQUEST), b"E" + (30).to_bytes(4) + b"SFATAL\0Mtoo many clients\0\0\0"),
        "too many clients",
    ),
    "postgres on another port": ("postgres", (b"SSH-2.0-x\r\n",), "it said more in the clear"),
    "mysql without SSL": ("mysql", (mysql(0xF7FF),), "MySQL 8.4.2 does not offer it"),
    "mysql with an error": (
        "mysql", (b"\x21\0\0\0\xff\x6a\x04Host '10.0.0.1' is not allowed",), "Host '10.0.0.1' is not allowed",
    ),
    "ldap without TLS": ("ldap", (hears(b"1466.20037"), ldap(2, b"unsupported extended operation")),
                         "resultCode 2 unsupported extended operation"),
    "ldap on another port": ("ldap", (b"220 mail\r\n",), "it answered: 22"),
    "xmpp without TLS": ("xmpp", (hears(b"<stream"), b"<stream:stream><stream:features><bind/></stream:features>"),
                         "<bind/>"),
    "xmpp that fails": ("xmpp", (hears(b"<stream"), OPENING, hears(b"<starttls"), b"<failure xmlns='x'/>"), "<failure"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_told_in_the_servers_words(files: CertificateFiles, name: str) -> None:
    protocol, script, words = REFUSALS[name]

    def refuse(sock: socket.socket) -> None:
        talk(script)(sock)
        sock.shutdown(socket.SHUT_WR)
        read_to_the_end(sock)

    with serve(Family.IPV4, refuse) as port:
        run = await shake(files, port, protocol)
    outcome = run.outcomes[-1]
    assert run.blame is not None
    assert run.blame.layer is Layer.TLS
    assert run.blame.reason in (Reason.NOT_TLS, Reason.CLOSED)
    assert words in outcome.evidence["detail"]


def resets(sock: socket.socket) -> None:
    sock.recv(100)
    reset(sock)


@pytest.mark.parametrize("family", FAMILIES)
async def test_whoever_hangs_up_resets_or_says_nothing_is_told_apart(files: CertificateFiles, family: Family) -> None:
    with serve(family, lambda _: None) as port:
        closed = await shake(files, port, "smtp", family)
    with serve(family, resets) as port:
        broken = await shake(files, port, "postgres", family)
    with serve(family, talk((b"220 hi\r\n", hears(b"EHLO"), hears(b"never")))) as port:
        silent = await shake(files, port, "smtp", family, timeout=0.3)
    reasons = [run.blame.reason for run in (closed, broken, silent) if run.blame is not None]
    assert reasons == [Reason.CLOSED, Reason.RESET, Reason.TIMEOUT]
    assert silent.outcomes[-1].evidence["starttls"]["waiting_for"] == "answer to EHLO"
    assert silent.outcomes[-1].evidence["starttls"]["answer"] == "220 hi"


@pytest.mark.parametrize("protocol", ["smtp", "imap", "postgres", "ldap", "xmpp"])
async def test_words_in_the_clear_after_the_go_ahead_are_refused(files: CertificateFiles, protocol: str) -> None:
    """Whoever sits in between could have put them there: they would be read as the server's (CVE-2021-23222)."""
    *before, last = GOOD[protocol]
    assert isinstance(last, bytes)
    with serve(Family.IPV4, talk((*before, last + b"250 injected\r\n"), make_context(files, [NAME]))) as port:
        run = await shake(files, port, protocol)
    assert run.blame is not None
    assert run.blame.reason is Reason.NOT_TLS
    assert "in the clear" in run.outcomes[-1].evidence["detail"]


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3", "ftp", "xmpp"])
async def test_an_answer_without_end_is_given_up_in_bounded_memory(files: CertificateFiles, protocol: str) -> None:
    def babble(sock: socket.socket) -> None:
        for _ in range(64):
            sock.sendall(b"x" * MAX_TALK)

    with serve(Family.IPV4, babble) as port:
        run = await shake(files, port, protocol)
    assert run.blame is not None
    assert run.blame.reason in (Reason.NOT_TLS, Reason.RESET)
    assert len(str(run.outcomes[-1].evidence)) < 1000


@pytest.mark.parametrize("protocol", ["mysql", "ldap", "postgres"])
@pytest.mark.parametrize(
    "junk", [b"\xff" * 64, b"\0" * 64, b"\x30\x84\xff\xff\xff\xff" + b"\0" * 64, b"E\xff\xff\xff\xff"]
)
async def test_any_bytes_of_a_binary_protocol_end_in_a_reason(
    files: CertificateFiles, protocol: str, junk: bytes
) -> None:  # fmt: skip
    def babble(sock: socket.socket) -> None:
        sock.sendall(junk)
        sock.shutdown(socket.SHUT_WR)
        read_to_the_end(sock)

    with serve(Family.IPV4, babble) as port:
        run = await shake(files, port, protocol)
    assert run.blame is not None
    assert run.blame.reason in (Reason.NOT_TLS, Reason.CLOSED)


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3", "ftp", "postgres", "mysql", "ldap", "xmpp"])
def test_openssl_speaks_the_same_words_to_the_same_server(files: CertificateFiles, protocol: str) -> None:
    """The line to paste works, and our servers are understood by a client that is not ours."""
    openssl = require_tool("openssl")
    script = [step if isinstance(step, bytes) or step is asks_mysql else hears() for step in GOOD[protocol]]
    if protocol == "imap":  # s_client asks for the capabilities first
        script = [
            script[0],
            hears(b"CAPABILITY"),
            b"* CAPABILITY STARTTLS\r\n. OK\r\n",
            hears(b"STARTTLS"),
            b". OK\r\n",
        ]
    with serve(Family.IPV4, talk(tuple(script), make_context(files, [NAME]))) as port:
        command = [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", protocol, "-name", NAME]
        done = subprocess.run([*command, "-servername", NAME, "-verify_hostname", NAME, "-CAfile", files.ca_file],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)  # fmt: skip
    assert "Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr
