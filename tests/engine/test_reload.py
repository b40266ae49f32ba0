"""Hot reload: what takes over, what is refused, and how often it is tried."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from prober.config.errors import ConfigError
from prober.engine.loading import Matrix
from prober.engine.reload import Reloader
from prober.model import Vantage

VANTAGE = Vantage("node-a")
GOOD = """
targets:
  one: {paths: {direct: {url: "tcp://127.0.0.1:1"}}}
probes:
  - {name: a, kind: tcp, targets: [one]}
"""
TWO = (
    GOOD
    + """
  - {name: b, kind: tcp, targets: [one]}
"""
)
BAD = GOOD.replace("kind: tcp", "kind: tpc")


def write(path: Path, text: str) -> None:
    path.write_text(text)


class Taken:
    """What a reloader gave and refused."""

    def __init__(self, path: Path) -> None:
        self.matrices: list[Matrix] = []
        self.refusals: list[Sequence[str]] = []
        self.changed = asyncio.Event()
        self.reloader = Reloader(path, VANTAGE, self.take, self.refuse)

    async def take(self, matrix: Matrix) -> None:
        self.matrices.append(matrix)
        self.changed.set()

    def refuse(self, errors: Sequence[str]) -> None:
        self.refusals.append(errors)
        self.changed.set()

    async def next_change(self) -> None:
        await asyncio.wait_for(self.changed.wait(), 10)
        self.changed.clear()

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        await self.reloader.first()
        self.changed.clear()
        watch = asyncio.create_task(self.reloader.watch(0.02))
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "probes.yaml"
    write(path, GOOD)
    return path


def ids(matrix: Matrix) -> list[str]:
    return [cell.probe for cell in matrix.cells]


async def test_a_good_file_takes_over_and_a_bad_one_changes_nothing(path: Path) -> None:
    taken = Taken(path)
    await taken.reloader.first()
    write(path, TWO)
    result = await taken.reloader.reload()
    assert (result.ok, result.cells) == (True, 2)
    assert taken.reloader.matrix.hash in result.message
    write(path, BAD)
    result = await taken.reloader.reload()
    assert (result.ok, result.cells) == (False, 2)
    assert result.message.startswith(f"{path}:5:")
    assert "tpc" in result.message
    assert [ids(matrix) for matrix in taken.matrices] == [["a"], ["a", "b"]]
    assert taken.refusals == [tuple(result.message.splitlines())]


async def test_the_first_load_has_nothing_to_fall_back_on(path: Path) -> None:
    write(path, BAD)
    taken = Taken(path)
    with pytest.raises(ConfigError):
        await taken.reloader.first()
    assert taken.matrices == []


async def test_the_watch_sees_a_change_of_content(path: Path) -> None:
    taken = Taken(path)
    async with taken.watching():
        write(path, TWO)
        await taken.next_change()
    assert ids(taken.matrices[-1]) == ["a", "b"]


async def test_the_watch_sees_the_swap_of_a_configmaps_symlink(tmp_path: Path) -> None:
    """As the kubelet's atomic writer does it: `..data` points to a new directory, the file's own link stays."""
    for version, text in (("..v1", GOOD), ("..v2", TWO)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "probes.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "probes.yaml").symlink_to("..data/probes.yaml")
    taken = Taken(tmp_path / "probes.yaml")
    async with taken.watching():
        (tmp_path / "..data_tmp").symlink_to("..v2")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        await taken.next_change()
    assert ids(taken.matrices[-1]) == ["a", "b"]


def truncate(path: Path) -> None:
    write(path, BAD)


@pytest.mark.parametrize("spoil", [truncate, Path.unlink], ids=["bad", "missing"])
async def test_a_bad_content_is_refused_once_and_not_at_every_poll(path: Path, spoil: Callable[[Path], None]) -> None:
    taken = Taken(path)
    looked = 0

    async with taken.watching():
        spoil(path)
        await taken.next_change()
        before = taken.reloader.reload

        async def counted() -> object:
            nonlocal looked
            looked += 1
            return await before()

        taken.reloader.reload = counted  # type: ignore[method-assign, assignment]  # counts what the watch does
        await asyncio.sleep(0.2)  # ten polls in which nothing may happen
        assert looked == 0
        write(path, TWO)
        await taken.next_change()
        assert looked == 1
    assert len(taken.refusals) == 1
    assert ids(taken.matrices[-1]) == ["a", "b"]


async def test_going_back_to_the_content_that_runs_makes_the_last_load_good_again(path: Path) -> None:
    taken = Taken(path)
    async with taken.watching():
        write(path, BAD)
        await taken.next_change()
        write(path, GOOD)
        await taken.next_change()
    assert [ids(matrix) for matrix in taken.matrices] == [["a"], ["a"]]
    assert taken.matrices[0].cells[0] is taken.matrices[1].cells[0]


async def test_reloads_at_the_same_time_take_turns(path: Path) -> None:
    taken = Taken(path)
    await taken.reloader.first()
    write(path, TWO)
    results = await asyncio.gather(*(taken.reloader.reload() for _ in range(4)))
    assert all(result.ok for result in results)
    assert len({id(matrix.cells[1]) for matrix in taken.matrices[1:]}) == 1, "the later ones found equal cells"
