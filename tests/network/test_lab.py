"""The lab by itself: what a packet does in it, and that nothing of it stays."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from prober.reasons import Family
from tests.network.conftest import require_lab
from tests.network.lab import plan
from tests.network.lab.process import ROOT, LabProcess

_NOBODY = "65534"
#: The longest that building the network may take, in seconds, with a good margin for a machine that is busy.
_BUILT_WITHIN = 2.0


def _pings(lab: LabProcess, address: str, place: str = "client", *options: str) -> bool:
    return lab.run(place, "ping", "-c", "1", "-W", "1", *options, address).returncode == 0


def test_it_is_built_in_a_moment(lab: LabProcess) -> None:
    assert lab.facts["seconds"] < _BUILT_WITHIN


@pytest.mark.parametrize("family", Family)
def test_every_pod_reaches_every_pod_and_the_world_outside(lab: LabProcess, family: Family) -> None:
    addresses = [pod.address(family) for pod in plan.PODS.values()] + [plan.OUTSIDE_ADDRESSES[family]]
    script = " && ".join(f"ping -c 1 -W 1 {address} >/dev/null" for address in addresses)
    for pod in plan.PODS:
        assert lab.run(pod, "sh", "-c", script).returncode == 0, pod


def test_global_unicast_addresses_cross_the_overlay(lab: LabProcess) -> None:
    assert _pings(lab, plan.WEB2.gua_address, "client", "-I", plan.CLIENT.gua_address)


@pytest.mark.parametrize("family", Family)
def test_packets_between_nodes_go_through_the_overlay_of_their_family(lab: LabProcess, family: Family) -> None:
    """A packet of a Pod's full MTU passes whole; one byte more does not."""
    headers = 28 if family is plan.V4 else 48
    for size, passes in ((plan.POD_MTU - headers, True), (plan.POD_MTU - headers + 1, False)):
        assert _pings(lab, plan.WEB2.address(family), "client", "-M", "do", "-s", str(size)) is passes
    other = lab.run("fabric", "nft", "list", "tables")
    assert "fault" not in other.stdout


@pytest.mark.parametrize("family", Family)
def test_the_fabric_knows_no_pod_and_the_nodes_masquerade(lab: LabProcess, family: Family) -> None:
    assert not _pings(lab, plan.WEB2.address(family), plan.OUTSIDE)
    assert _pings(lab, plan.OUTSIDE_ADDRESSES[family])


def test_a_fault_is_put_in_for_one_family_and_taken_out_again(lab: LabProcess) -> None:
    v4, v6 = (plan.WEB2.address(family) for family in Family)
    lab.ask(fault="l3-drop", on=True, families=["ipv4"])
    try:
        assert not _pings(lab, v4)
        assert _pings(lab, v6)
        with pytest.raises(RuntimeError, match="on already"):
            lab.ask(fault="l3-drop", on=True)
    finally:
        assert lab.ask(fault="l3-drop", on=False)["on"] == []
    assert _pings(lab, v4)
    with pytest.raises(RuntimeError, match="did you mean l3-drop"):
        lab.ask(fault="l3-dorp", on=True)


def test_nothing_is_left_after_kill_9() -> None:
    require_lab()
    before = _outside_view()
    with LabProcess() as lab:
        inside = lab.start("web1", "sleep", "60")
        handles = [os.pidfd_open(pid) for pid in _members(lab.pid)]
        assert handles
        lab.kill()
        assert inside.wait(10) != 0
    assert all(_ends(handle) for handle in handles)
    assert _outside_view() == before


def _ends(handle: int) -> bool:
    """Whether the process of this pidfd comes to its end."""
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


def _outside_view() -> list[str]:
    """Links, named namespaces, tables, files and mounts out here."""
    commands = (["ip", "-br", "link"], ["ip", "netns", "list"], ["nft", "list", "tables"])
    said = [subprocess.run(command, capture_output=True, text=True, check=False).stdout for command in commands]
    folders = [str(sorted(Path(folder).iterdir())) for folder in ("/run", "/dev/shm")]
    return [*said, *folders, Path("/proc/self/mounts").read_text(encoding="utf-8")]


def _members(pid: int) -> set[int]:
    """The processes in the PID namespace of `pid`, by their numbers out here."""
    space = Path(f"/proc/{pid}/ns/pid").readlink()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "ns/pid").readlink() == space:
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


_UNTIL_KILLED = """
import time
from tests.network.lab.process import LabProcess
with LabProcess() as lab:
    print(lab.pid, flush=True)
    time.sleep(60)
"""


def test_it_ends_with_the_process_that_started_it() -> None:
    """Also where that one is killed: the lab's input ends then."""
    require_lab()
    starter = subprocess.Popen([sys.executable, "-c", _UNTIL_KILLED], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    with starter.stdout:
        handle = os.pidfd_open(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    assert _ends(handle)


#: Starts itself: at exec(2) a process that was root a moment ago may still do what a child of it may not.
_TRIAL = "import subprocess, sys, dns.message, yaml; sys.exit(subprocess.call([sys.executable, '-c', '']))"
_PINGS = """
import json
from tests.network.lab.process import LabProcess
with LabProcess() as lab:
    pings = [lab.run("client", "ping", "-c1", "-W1", to).returncode for to in ("10.42.2.12", "fd42:0:0:2::12")]
    print(json.dumps([*pings, lab.run("client", "id", "-u").stdout.strip()]))
"""


def test_it_needs_no_root() -> None:
    """The same lab, started by nobody."""
    require_lab()
    if os.geteuid() != 0:
        pytest.skip("this whole run is without root already")
    packages = sysconfig.get_path("purelib")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"}

    def by_nobody(python: str, program: str) -> subprocess.CompletedProcess[str]:
        command = ["setpriv", "--reuid", _NOBODY, "--regid", _NOBODY, "--clear-groups", python, "-c", program]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)

    version = f"python{sys.version_info.major}.{sys.version_info.minor}"  # the packages are of this one
    candidates = [sys.executable, *filter(None, [shutil.which(version, path="/usr/local/bin:/usr/bin")])]
    python = next((each for each in candidates if by_nobody(each, _TRIAL).returncode == 0), None)
    if python is None:
        pytest.skip("no interpreter here that a user without rights can run")
    done = by_nobody(python, _PINGS)
    assert done.stdout, done.stderr
    assert json.loads(done.stdout) == [0, 0, "0"]


def test_make_lab_gives_a_shell_in_the_vantage_with_the_fault_on() -> None:
    require_lab()
    commands = (
        "prober try icmp://10.42.2.12\nnofault l3-drop\nprober try icmp://10.42.2.12\non web2 hostname -I\nexit 7\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.network.lab", "--fault", "l3-drop"], cwd=ROOT, input=commands,
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    said = done.stdout.splitlines()
    assert "Fault on: l3-drop." in said[0]
    assert "on: nothing" in said
    assert "timeout" in done.stdout
    assert plan.WEB2.address(plan.V4) in said[-1]
