"""Whatever bytes a peer sends, an exchange ends: with an answer or with HttpBroken, nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prober.reasons import REASONS, Layer, Reason
from prober.wire.http import Call, HttpBroken, HttpClient, Record, Version
from tests.support.fuzz import Recorded, fuzzed
from tests.support.http import frame, response

CALL = Call("GET", "http", "example.com", "/", [(b"host", b"example.com")])


async def exchange(pieces: list[bytes], version: Version) -> Reason | None:
    """Why the exchange broke; None if there was an answer."""
    client, record = HttpClient(), Record(limit=10_000)
    try:
        await client.exchange(CALL, Recorded(pieces), version, record)
    except HttpBroken as broken:
        return broken.reason
    finally:
        await client.close()
    assert record.status is not None
    assert record.ended is not None
    return None


def allowed(reason: Reason | None) -> bool:
    return reason is None or reason in REASONS[Layer.HTTP]


FRAMES = st.builds(
    frame,
    st.sampled_from([*range(11), 0xBE]),
    st.one_of(st.binary(max_size=40), st.sampled_from([b"\x88", b"\x88\x5c\x011", bytes(8), b"\0\0\0\1" + bytes(4)])),
    flags=st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D, 0xFF]),
    stream=st.sampled_from([0, 1, 1, 1, 2, 3]),
)


@fuzzed(300)
@given(frames=st.lists(FRAMES, max_size=12), cut=st.integers(1, 60))
async def test_any_frames(frames: list[bytes], cut: int) -> None:
    data = frame(4) + b"".join(frames)
    assert allowed(await exchange([data[:cut], data[cut:]], "2"))


MESSAGE = response("200 OK", b"hello", "Transfer-Encoding: chunked", "X: y")


VERSIONS: list[Version] = ["1.1", "2"]
PLACES = st.integers(0, len(MESSAGE))


@fuzzed(200)
@given(position=PLACES, noise=st.binary(max_size=8), drop=st.integers(0, 9), version=st.sampled_from(VERSIONS))
async def test_any_damage_to_a_message(position: int, noise: bytes, drop: int, version: Version) -> None:
    assert allowed(await exchange([MESSAGE[:position], noise + MESSAGE[position + drop :]], version))
