"""WebSocket on the http rung: handshakes right and wrong, and connections that are cut while they are idle."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import generate_accept_token

from prober.diagnosis.run import explain
from prober.export.reproduce import reproduce
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.model import Run
from prober.options import Expect
from prober.reasons import Family, Kind, Layer, Reason
from prober.wire.http import HttpBroken
from prober.wire.http.websocket import WebSocket
from tests.support.cells import FAMILIES, make_cell
from tests.support.http import Handler, Peer, Server, climb_to, response, says, serving
from tests.support.runs import http


class Side:
    """The server's side of an open WebSocket."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.connection = Connection(ConnectionType.SERVER)

    async def send(self, event: Event) -> None:
        await self.peer.send(self.connection.send(event))

    async def next(self) -> Event | None:
        """The next event of the client, None once it has gone."""
        while True:
            for event in self.connection.events():
                return event
            data = await self.peer.reader.read(4096)
            if not data:
                return None
            self.connection.receive_data(data)


def field(head: bytes, name: bytes) -> bytes:
    return head.partition(b"\r\n" + name + b": ")[2].partition(b"\r\n")[0]


def switched(head: bytes, *more: bytes) -> bytes:
    accept = generate_accept_token(field(head, b"sec-websocket-key"))
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: WebSocket", b"Connection: keep-alive, Upgrade",
             b"Sec-WebSocket-Accept: " + accept, *more]  # fmt: skip
    return b"\r\n".join(lines) + b"\r\n\r\n"


def opens(talk: Callable[[Side], Awaitable[None]], *more: bytes, early: bytes = b"") -> Handler:
    """Accept the handshake, then talk."""

    async def handler(peer: Peer) -> None:
        head = await peer.read_head()
        await peer.send(switched(head, *more) + early)
        await talk(Side(peer))

    return handler


async def until_gone(side: Side) -> None:
    while await side.next() is not None:
        pass


async def probe(
    server: Server, *, scheme: str = "http", family: Family = Family.IPV4, expect: dict[str, Any] | None = None,
    timeout: float = 3.0, tls: dict[str, Any] | None = None, headers: dict[str, str] | None = None,
    max_body: int = 1000, budget: dict[str, float] | None = None, **websocket: Any,
) -> Run:  # fmt: skip
    http = {"websocket": websocket, "headers": headers or {}, "max_body": max_body}
    cell = make_cell(Kind.HTTP, scheme, "localhost", server.port, family=family, timeout=timeout, resource="/ws",
                     expect=Expect.model_validate(expect or {}), options={"http": http, "tls": tls or {}},
                     budget=budget)  # fmt: skip
    return await climb_to(server, cell)


async def once(handler: Handler, **how: Any) -> Run:
    async with serving(handler, how.get("family", Family.IPV4)) as server:
        return await probe(server, **how)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_websocket_is_held_answers_pings_and_says_goodbye(family: Family) -> None:
    got: list[Event | None] = []

    async def talk(side: Side) -> None:
        await side.send(Ping(b"still there?"))
        await side.send(TextMessage("news"))
        await side.send(BytesMessage(b"more"))
        got.extend([await side.next(), await side.next(), await side.next()])
        gone.set()

    gone = asyncio.Event()
    async with serving(opens(talk, b"Sec-WebSocket-Protocol: chat"), family) as server:
        run = await probe(server, family=family, hold=0.2, subprotocol="chat", headers={"Origin": "http://localhost"})
        await gone.wait()
        (head,) = server.heads
    assert run.ok, http(run)
    evidence = http(run).evidence
    assert (evidence["status"], evidence["pings"], evidence["messages"]) == (101, 1, 2)
    assert 0.2 <= evidence["held_seconds"] < 1
    assert got[0] == Pong(b"still there?")
    assert got[1] == CloseConnection(1000, "")
    assert got[2] is None
    assert head.startswith(b"GET /ws HTTP/1.1\r\n")
    assert field(head, b"sec-websocket-protocol") == b"chat"
    assert field(head, b"origin") == b"http://localhost"
    assert (field(head, b"upgrade"), field(head, b"connection")) == (b"websocket", b"Upgrade")


async def test_the_layers_time_is_the_handshakes_and_not_the_hold() -> None:
    run = await once(opens(until_gone), hold=0.5, budget={"http": 0.4})
    assert run.ok, http(run)
    assert (http(run).seconds or 1) < 0.4
    assert run.seconds >= 0.5
    assert http(run).evidence["local_seconds"] < 0.4


async def test_without_a_hold_the_handshake_is_all() -> None:
    run = await once(opens(until_gone))
    assert run.ok, http(run)
    assert "Sec-WebSocket-Key" in reproduce(run)


async def goes_away(side: Side) -> None:
    await side.send(CloseConnection(1001, "going away\x1b"))


async def hangs_up(side: Side) -> None:
    side.peer.writer.close()


async def resets(side: Side) -> None:
    side.peer.reset()


async def breaks_the_protocol(side: Side) -> None:
    await side.peer.send(b"\x83\x00")  # opcode 3 is reserved
    await until_gone(side)


async def floods(side: Side) -> None:
    await side.peer.flood(side.connection.send(TextMessage("x" * 500)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("talk", "reason", "detail"), [
    (goes_away, Reason.CLOSED, "closed by the peer with code 1001"),
    (hangs_up, Reason.CLOSED, "the connection ended without a Close frame"),
    (resets, Reason.RESET, ""),
    (breaks_the_protocol, Reason.PROTOCOL, "a frame that breaks RFC 6455"),
    (floods, Reason.BODY, "more than 1000 bytes of messages"),
])  # fmt: skip
async def test_what_ends_an_idle_websocket_is_the_failure(
    talk: Callable[[Side], Awaitable[None]], reason: Reason, detail: str, family: Family
) -> None:
    run = await once(opens(talk), family=family, hold=2.0)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, reason)
    evidence = http(run).evidence
    assert detail in evidence["detail"]
    assert evidence["held_seconds"] < 2
    if reason in (Reason.CLOSED, Reason.RESET):
        verdict = explain(run)
        assert verdict is not None
        assert verdict.code == "websocket_cut"
    if talk is goes_away:
        assert (evidence["close_code"], evidence["close_reason"]) == (1001, "going away")


async def test_what_comes_with_the_answer_belongs_to_the_websocket() -> None:
    early = Connection(ConnectionType.SERVER).send(CloseConnection(1013))
    run = await once(opens(until_gone, early=early), hold=1.0)
    assert (http(run).reason, http(run).evidence["close_code"]) == (Reason.CLOSED, 1013)


def answers(*lines: bytes) -> Handler:
    async def handler(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"\r\n".join([b"HTTP/1.1 101 Switching Protocols", *lines]) + b"\r\n\r\n")
        await peer.reader.read()

    return handler


UPGRADED = (b"Upgrade: websocket", b"Connection: Upgrade")


@pytest.mark.parametrize(("handler", "how", "reason", "code"), [
    (says(response("200 OK")), {}, Reason.STATUS, "websocket_refused"),
    (says(response("426 Upgrade Required")), {}, Reason.STATUS, "websocket_refused"),
    (says(response("502 Bad Gateway")), {}, Reason.STATUS, "backend_unavailable"),
    (says(response("401 Unauthorized")), {}, Reason.STATUS, "access_denied"),
    (says(response("302 Found", b"", "Location: /x")), {}, Reason.STATUS, "unexpected_status"),
    (answers(*UPGRADED), {}, Reason.PROTOCOL, "websocket_refused"),
    (answers(*UPGRADED, b"Sec-WebSocket-Accept: d3Jvbmc="), {}, Reason.PROTOCOL, "websocket_refused"),
    (answers(b"Upgrade: h2c", b"Connection: Upgrade"), {}, Reason.PROTOCOL, "websocket_refused"),
    (opens(until_gone, b"Sec-WebSocket-Extensions: permessage-deflate"), {}, Reason.PROTOCOL, "websocket_refused"),
    (opens(until_gone), {"subprotocol": "chat"}, Reason.HEADER, "unexpected_header"),
    (opens(until_gone, b"Sec-WebSocket-Protocol: other"), {"subprotocol": "chat"}, Reason.HEADER, "unexpected_header"),
    (opens(until_gone, b"Sec-WebSocket-Protocol: other"), {}, Reason.HEADER, "unexpected_header"),
])  # fmt: skip
async def test_a_handshake_that_is_refused_or_answered_wrongly_has_its_reason(
    handler: Handler, how: dict[str, Any], reason: Reason, code: str
) -> None:
    run = await once(handler, **how)
    verdict = explain(run)
    assert verdict is not None
    assert (http(run).reason, verdict.code) == (reason, code)
    assert "held_seconds" not in http(run).evidence


async def test_a_refusal_may_be_what_is_expected() -> None:
    assert (await once(says(response("403 Forbidden")), expect={"status": [403]}, hold=1.0)).ok


async def test_the_deadline_of_the_climb_is_not_taken_for_the_end_of_the_hold() -> None:
    run = await once(opens(until_gone), hold=5.0, timeout=0.3)
    assert http(run).reason is Reason.TIMEOUT


@pytest.mark.parametrize("family", FAMILIES)
async def test_over_tls_http_1_1_alone_is_offered(family: Family, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = CertificateFiles(tmp_path_factory.mktemp("certificates"))
    context = make_context(files, ["localhost"], alpn=("h2", "http/1.1"))
    async with serving(opens(until_gone), family, context) as server:
        tls = {"ca_file": str(files.ca_file)}
        run = await probe(server, scheme="https", family=family, hold=0.1, tls=tls)
        wrong = await probe(server, scheme="https", family=family, tls=tls | {"alpn": ["h2"]})
    assert run.ok, run.outcomes
    assert http(wrong).reason is Reason.VERSION


async def test_a_websocket_that_is_held_is_cancelled_with_the_climb() -> None:
    opened = asyncio.Event()

    async def talk(side: Side) -> None:
        opened.set()
        await until_gone(side)

    async with serving(opens(talk)) as server:
        task = asyncio.create_task(probe(server, hold=2.0))
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_peer_that_went_away_while_we_said_goodbye_is_no_failure() -> None:
    class Gone:
        async def receive(self, max_bytes: int = 65536) -> bytes:
            raise ConnectionResetError

        async def send(self, data: bytes) -> None:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

        def close(self) -> None:
            """Nothing to close."""

    await WebSocket(Gone(), b"", 100).close()
    ping = Connection(ConnectionType.SERVER).send(Ping(b"x"))
    with pytest.raises(HttpBroken) as caught:
        await WebSocket(Gone(), ping, 100).hold(1.0)
    assert caught.value.reason is Reason.CLOSED
