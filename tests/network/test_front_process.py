"""The processes of front ends: none outlives whoever started it, and one that cannot start says why."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from prober.lab.certificates import CertificateFiles
from tests.network.lab.fronts.ingress import GRPC_HOST, WEB_HOST, Routing, Side
from tests.network.lab.fronts.nginx import Nginx
from tests.support.cells import LOOPBACK
from tests.support.fronts import FAMILIES, free_port, require_front

_PATIENCE = 10.0
_STARTER = """
import asyncio, sys
from pathlib import Path
from tests.network.lab.fronts.ingress import Routing, Side
from tests.network.lab.fronts.nginx import Nginx
certificate, key, directory, port = *map(Path, sys.argv[1:4]), int(sys.argv[4])
async def main():
    nowhere = ("127.0.0.1", 9)
    nginx = Nginx(directory, Routing([Side(("127.0.0.1", port), nowhere, nowhere)], certificate, key))
    await nginx.start()
    print(*nginx.pids(), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def nginx_in(directory: Path, port: int) -> Nginx:
    """One that leads nowhere."""
    certificate, key = CertificateFiles(directory).leaf([WEB_HOST, GRPC_HOST])
    nowhere = ("127.0.0.1", 9)
    sides = [Side((LOOPBACK[family], port), nowhere, nowhere) for family in FAMILIES]
    return Nginx(directory / "nginx", Routing(sides, certificate, key))


def lives(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


async def test_kill_9_of_whoever_started_a_front_leaves_nothing_of_it(tmp_path: Path) -> None:
    """Master and worker alike, though the worker would serve on without its master."""
    routing = nginx_in(tmp_path, free_port()).routing
    require_front(Nginx)
    arguments = (str(routing.certificate), str(routing.key), str(tmp_path / "nginx"), str(free_port()))
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", _STARTER, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert starter.stdout is not None
    async with asyncio.timeout(_PATIENCE):
        pids = [int(pid) for pid in (await starter.stdout.readline()).split()]
        assert len(pids) == 2
        assert any(map(lives, pids))
        starter.send_signal(signal.SIGKILL)
        await starter.wait()
        while any(map(lives, pids)):  # noqa: ASYNC110 - they are not our children
            await asyncio.sleep(0.005)


async def test_a_front_that_cannot_start_says_so_in_its_own_words(tmp_path: Path) -> None:
    """And nothing of it is left: with another key it starts."""
    require_front(Nginx)
    nginx = nginx_in(tmp_path, free_port())
    good = nginx.routing
    nginx.routing = replace(good, key=good.certificate)
    with pytest.raises(RuntimeError, match=r"nginx has ended: .*cannot load certificate key"):
        await nginx.start()
    nginx.routing = good
    await nginx.start()
    assert len(nginx.pids()) == 2
    assert 0 < nginx.started_in < _PATIENCE
    await nginx.stop()
    with pytest.raises(ProcessLookupError):
        nginx.pids()
