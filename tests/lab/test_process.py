"""The lab as a child process: its lines, its end, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from prober.lab.faults import FAULTS
from prober.lab.process import LabProcess


@pytest.fixture
async def child() -> AsyncIterator[LabProcess]:
    lab = await LabProcess.start()
    yield lab
    await lab.stop()


async def start_bare() -> tuple[Process, dict[str, Any]]:
    """A lab without `LabProcess`, and its first line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "prober.lab", stdin=PIPE, stdout=PIPE, limit=1024 * 1024
    )
    assert process.stdout is not None
    return process, json.loads(await process.stdout.readline())


def web_port(config: str) -> int:
    """The port of web-api, as the configuration has it."""
    url: str = yaml.safe_load(config)["targets"]["web-api"]["paths"]["service"]["url"]
    return int(url.rpartition(":")[2].partition("/")[0])


async def status(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /health HTTP/1.1\r\nhost: web-api\r\nconnection: close\r\n\r\n")
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line.decode().split()[1]


async def test_a_child_serves_its_configuration_and_switches_faults(child: LabProcess) -> None:
    assert child.config_path.read_text() == child.config_text
    assert [fault["name"] for fault in child.faults] == list(FAULTS)
    assert not any(fault["on"] for fault in child.faults)
    assert await asyncio.to_thread(Path(child.kubernetes["token_file"]).is_file)
    port = web_port(child.config_text)
    assert await status(port) == "200"
    await child.set_fault("http-503", True)
    assert [fault["name"] for fault in child.faults if fault["on"]] == ["http-503"]
    assert await status(port) == "503"
    await child.set_fault("http-503", False)
    assert await status(port) == "200"


async def test_an_unknown_fault_is_a_key_error_with_a_suggestion(child: LabProcess) -> None:
    with pytest.raises(KeyError, match="did you mean http-503"):
        await child.set_fault("http-530", True)


async def test_stopping_twice_is_stopping_once_and_leaves_no_file(child: LabProcess) -> None:
    await child.stop()
    await child.stop()
    assert not child.config_path.parent.exists()
    with pytest.raises(RuntimeError, match="has ended"):
        await child.set_fault("http-503", True)


async def test_a_child_that_is_killed_is_an_error_not_a_wait(child: LabProcess) -> None:
    child._process.kill()
    await child._process.wait()
    with pytest.raises(RuntimeError, match="has ended"):
        await child.set_fault("http-503", True)
    directory = child.config_path.parent  # kill -9 leaves it: ours to remove
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_though_stdin_is_open(number: signal.Signals) -> None:
    process, ready = await start_bare()
    process.send_signal(number)
    assert await process.wait() == 0
    assert not Path(ready["config_path"]).parent.exists()


async def test_bad_lines_are_answered_and_good_ones_still_work() -> None:
    process, _ = await start_bare()
    lines = ["nonsense", "[]", '{"fault": "http-503"}', '{"fault": "http-503", "on": 1}', '{"fault": "x", "on": true}',
             '{"fault": "http-503", "on": true}']  # fmt: skip
    output, _ = await process.communicate("\n".join(lines).encode() + b"\n")
    *bad, good = [json.loads(line) for line in output.splitlines()]
    assert all("error" in answer for answer in bad)
    assert len(bad) == 5
    assert good == {"fault": "http-503", "on": True}
    assert process.returncode == 0


async def test_no_orphan_is_left_when_the_parent_is_killed() -> None:
    """A parent that dies without a word closes the pipe, and the lab goes with it."""
    program = (
        "import asyncio\n"
        "from prober.lab.process import LabProcess\n"
        "async def main():\n"
        "    lab = await LabProcess.start()\n"
        "    print(lab.config_path.parent, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=PIPE, stderr=PIPE)
    assert parent.stdout is not None
    assert parent.stderr is not None
    directory = (await parent.stdout.readline()).decode().strip()
    assert await asyncio.to_thread(Path(directory).is_dir)
    parent.kill()
    async with asyncio.timeout(10):
        assert await parent.stderr.read() == b""  # its end: nobody holds stderr any more, so the lab is gone too
    await parent.wait()
    assert not await asyncio.to_thread(Path(directory).exists)
