"""What a `tcp:` probe says on its connection, and what it wants to hear there. A part of the tcp rung."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from prober.layers.base import Ascent, Failed
from prober.layers.credentials import hide, revealed, stands_for
from prober.layers.excerpt import EXCERPT, shown
from prober.options import Hex, Said, SecretFile, Step
from prober.reasons import Reason
from prober.wire.tcp import TcpStream

#: Bytes without a match after which the answer is a wrong one.
MOST_HEARD: Final = 64 * 1024


async def converse(ascent: Ascent, stream: TcpStream, steps: Sequence[Step]) -> None:
    """Take the steps in order. What matched becomes evidence, and so does what came instead.

    The network's time of the dialogue is added to the handshake's. Raises the OSError of the socket.
    """
    connect, kernel = ascent.seconds, ascent.clock == "kernel"
    evidence, times = ascent.evidence, stream.times
    evidence["dialogue"] = []
    times.start()
    try:
        rest = b""
        for number, step in enumerate(steps, 1):
            evidence["step"] = number
            if step.send is not None:
                await stream.send(_bytes(ascent, step.send))
            if step.expect is not None:
                rest = await _hear(ascent, stream, step.expect, rest)
        del evidence["step"]
    finally:
        if connect is not None:
            evidence |= {"connect_seconds": round(connect, 6), "dialogue_seconds": round(times.network, 6)}
            ascent.took(connect + times.network, kernel=kernel and (times.kernel or times.received is None))


async def _hear(ascent: Ascent, stream: TcpStream, expected: str, heard: bytes) -> bytes:
    """Receive until `expected` is found in what was `heard`; what stands behind the match is for the next step."""
    pattern, evidence = re.compile(expected.encode(), re.MULTILINE), ascent.evidence
    evidence["expected"] = expected
    while True:
        if (match := pattern.search(heard)) is not None:
            evidence["dialogue"].append(_shown(ascent, match[0]))
            evidence.pop("received", None)
            del evidence["expected"]
            return heard[match.end() :]
        if heard:
            evidence["received"] = _shown(ascent, heard)
        if len(heard) > MOST_HEARD:
            raise Failed(Reason.WRONG_ANSWER, f"{len(heard)} bytes without a match")
        more = await stream.receive()
        if not more:
            raise Failed(Reason.WRONG_ANSWER, "the peer ended the connection")
        heard += more


def _bytes(ascent: Ascent, said: Said) -> bytes:
    """Text in UTF-8, bytes as they are; a secret from a file is hidden from now on."""
    if isinstance(said, Hex):
        return bytes.fromhex(said.hex)
    text = revealed(said)
    return (hide(ascent, text, stands_for(said)) if isinstance(said, SecretFile) else text).encode()


def _shown(ascent: Ascent, heard: bytes) -> str:
    """Text as people may see it; what is none in hexadecimal digits."""
    try:
        text = heard[: EXCERPT * 20].decode()
    except UnicodeDecodeError:
        return f"hex {heard[: EXCERPT // 2].hex()}"
    return shown(ascent, text)
