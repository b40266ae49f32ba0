"""Running a program of the tests in a network namespace of its own, or saying why this machine can't."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_INSIDE = "PROBER_INSIDE_NAMESPACE"


def _unshare() -> list[str]:
    return ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


@cache
def why_not(*, tun: bool = False) -> str | None:
    """The reason why namespaces (and TUN devices) can't be had here; None where they can."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "unshare and ip (util-linux, iproute2) are not installed"
    tried = subprocess.run([*_unshare(), "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    if tried.returncode != 0:
        return f"no network namespace: {tried.stderr.decode().strip()}"
    if tun and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no access to /dev/net/tun"
    return None


def run_in_namespace(script: str, *arguments: str, timeout: float = 30.0) -> str:
    """Run `tests/support/SCRIPT` with this interpreter in a fresh network namespace; its standard output.

    `-P`: the names of the modules beside the script (`http`, `dns`) must not hide the libraries'.
    """
    path = str(Path(__file__).with_name(script))
    done = subprocess.run(
        [*_unshare(), sys.executable, "-P", path, *arguments], capture_output=True, timeout=timeout, check=False,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def enter_namespace(*, tun: bool = True) -> bool:
    """Run this very program again in a network namespace of its own, once; whether it is in one now."""
    inside = bool(os.environ.get(_INSIDE))
    if not inside and why_not(tun=tun) is None:
        command = [*_unshare(), sys.executable, "-P", *sys.argv]
        os.execvpe(command[0], command, {**os.environ, "PYTHONPATH": str(ROOT), _INSIDE: "1"})
    return inside
