"""What a tcp probe says on its connection and wants to hear, against real servers in both families."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from prober.diagnosis.run import explain
from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Outcome, Run
from prober.reasons import Family, Kind, Reason
from prober.wire.errqueue import LINUX
from tests.support.cells import FAMILIES, LOOPBACK, make_cell

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def talk(family: Family, serve: Serve, timeout: float = 2.0, **tcp: Any) -> Run:
    """One climb to a server that serves each connection with `serve`, then closes it."""

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the prober has heard enough
        finally:
            writer.close()

    server = await asyncio.start_server(accepted, LOOPBACK[family], 0)
    port = server.sockets[0].getsockname()[1]
    cell = make_cell(Kind.TCP, "tcp", LOOPBACK[family], port, family=family, timeout=timeout, options={"tcp": tcp})
    try:
        (run,) = await climb(cell, Kit())
    finally:
        server.close()
    return run


def tcp_of(run: Run) -> Outcome:
    return run.outcomes[-1]


def verdict_of(run: Run) -> str:
    verdict = explain(run)
    assert verdict is not None
    return verdict.code


async def pong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if await reader.readline() == b"PING\r\n":
        writer.write(b"+PONG\r\n")
    await reader.read()


@pytest.mark.parametrize("family", FAMILIES)
async def test_an_answer_that_matches_holds_and_its_time_counts(family: Family) -> None:
    run = await talk(family, pong, send="PING\r\n", expect=r"^\+PONG")
    outcome = tcp_of(run)
    evidence = outcome.evidence
    assert run.ok
    assert evidence["dialogue"] == ["+PONG"]
    assert not {"step", "expected", "received"} & set(evidence)
    if LINUX:
        assert evidence["clock"] == "kernel"
        together = evidence["connect_seconds"] + evidence["dialogue_seconds"]
        assert outcome.seconds == pytest.approx(together, abs=2e-6)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_late_answer_is_the_network_s_time(family: Family) -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await asyncio.sleep(0.05)
        writer.write(b"+PONG\r\n")

    run = await talk(family, late, send="PING\r\n", expect="PONG")
    assert run.ok
    assert 0.049 <= tcp_of(run).evidence["dialogue_seconds"] <= (tcp_of(run).seconds or 0) < 1


async def mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A mail server that writes byte by byte; RFC 5321 section 4.2.1 has answers of several lines."""
    writer.write(b"220 mail.example ESMTP\r\n")
    await reader.readline()
    for byte in b"250-mail.example\r\n250-SIZE 1000\r\n250 HELP\r\n":
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0)
    await reader.readline()


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_dialogue_takes_its_steps_in_order(family: Family) -> None:
    steps = [{"expect": "^220 .*$"}, {"send": "EHLO prober\r\n", "expect": "^250 "}, {"send": "QUIT\r\n"}]
    run = await talk(family, mail, dialogue=steps)
    assert run.ok
    assert tcp_of(run).evidence["dialogue"] == ["220 mail.example ESMTP", "250"]


@pytest.mark.parametrize("family", FAMILIES)
async def test_what_came_before_its_turn_is_heard_in_its_turn(family: Family) -> None:
    async def at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"one\ntwo\nthree\n")

    run = await talk(family, at_once, dialogue=[{"expect": "^one$"}, {"expect": "^two$"}, {"expect": "three"}])
    assert tcp_of(run).evidence["dialogue"] == ["one", "two", "three"]


@pytest.mark.parametrize("family", FAMILIES)
async def test_another_answer_and_then_silence_ends_with_the_deadline_and_is_shown(family: Family) -> None:
    async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-LOADING \x1b[31mRedis is loading\r\n")
        await reader.read()

    run = await talk(family, loading, timeout=0.2, send="PING\r\n", expect=r"^\+PONG")
    assert tcp_of(run).reason is Reason.TIMEOUT
    shown = {"step": 1, "expected": r"^\+PONG", "received": "-LOADING [31mRedis is loading", "dialogue": []}
    assert tcp_of(run).evidence.items() >= shown.items()
    assert verdict_of(run) == "tcp_no_answer"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("said", "received"), [(b"421 too busy\r\n", "421 too busy"), (b"", None)])
async def test_a_peer_that_ends_the_connection_has_answered_wrongly(
    family: Family, said: bytes, received: str | None
) -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    run = await talk(family, refuse, expect="^220 ")
    assert tcp_of(run).reason is Reason.WRONG_ANSWER
    assert tcp_of(run).evidence.get("received") == received
    assert tcp_of(run).evidence["detail"] == "the peer ended the connection"
    assert verdict_of(run) == "tcp_wrong_answer"


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_reset_in_the_dialogue_is_a_reset(family: Family) -> None:
    async def crash(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    run = await talk(family, crash, send="PING\r\n", expect="PONG")
    assert tcp_of(run).reason is Reason.RESET
    assert tcp_of(run).evidence["errno"] == "ECONNRESET"
    assert verdict_of(run) == "connection_reset"


async def test_a_flood_without_a_match_is_a_wrong_answer_of_bounded_size() -> None:
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    run = await talk(Family.IPV4, flood, expect="never")
    assert tcp_of(run).reason is Reason.WRONG_ANSWER
    assert tcp_of(run).evidence["received"] == "x" * 200


async def test_bytes_are_sent_and_shown_as_hexadecimal_digits() -> None:
    async def binary(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(3) == b"\x00\xff\x10"
        writer.write(b"\x01\xfe\x02")

    run = await talk(Family.IPV4, binary, send={"hex": "00 ff10"}, expect=r"\xfe\x02")
    assert run.ok
    assert tcp_of(run).evidence["dialogue"] == ["hex fe02"]


async def test_a_secret_from_a_file_is_sent_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("AUTH open-sesame-7\n")

    async def parrot(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR unknown: " + await reader.readexactly(len("AUTH open-sesame-7")))

    run = await talk(Family.IPV4, parrot, send={"file": str(secret)}, expect="OK")
    assert tcp_of(run).reason is Reason.WRONG_ANSWER
    assert tcp_of(run).evidence["received"] == f"-ERR unknown: $(cat {secret})"


async def test_a_secret_that_cannot_be_read_is_our_own_fault(tmp_path: Path) -> None:
    run = await talk(Family.IPV4, pong, send={"file": str(tmp_path / "none")}, expect="OK")
    assert tcp_of(run).reason is Reason.INTERNAL
    assert run.ours
