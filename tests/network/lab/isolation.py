"""Namespaces: running this program in its own, making more, and stepping into one of them.

Everything that the lab makes lives in the namespaces of one process and dies with it, kill -9 included: the processes
because they are in a PID namespace, the network because nobody else holds it, the files because they are on a tmpfs.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

RUN, SHARED_MEMORY = Path("/run"), Path("/dev/shm")
#: Where named network namespaces are, for `ip netns` too.
NAMED = RUN / "netns"
#: The lab's files: certificates, configurations, the control socket.
FILES = RUN / "lab"
#: What a lab has of its own beside processes, as options of unshare(1).
SPACES = ("--mount", "--net", "--mount-proc", "--propagation", "private")
TOOLS = ("ip", "nft", "iptables", "ethtool", "unshare", "nsenter", "setpriv", "sysctl")
_INSIDE = "PROBER_LAB_INSIDE"
_CLONE_NEWNET, _CLONE_NEWNS = 0x40000000, 0x00020000
_MS_BIND = 4096
_CAP_SYS_ADMIN = 1 << 21
_OWN = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    """A function of libc that returns 0, or OSError."""
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def is_privileged() -> bool:
    """Whether this process may make namespaces as it is (CAP_SYS_ADMIN, capabilities(7))."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1]
    return bool(int(effective, 16) & _CAP_SYS_ADMIN)


def unshare_command(spaces: Sequence[str] = SPACES) -> list[str]:
    """The command that starts another one in a PID namespace of its own, and in others, which end when it is killed.

    Without the right to make them there is a user namespace around them, in which we are root and nobody else exists.
    """
    user = [] if is_privileged() else ["--user", "--map-root-user"]
    return ["setpriv", "--pdeathsig", "KILL", "unshare", *user, *spaces, "--pid", "--fork", "--kill-child=KILL"]


@cache
def why_not() -> str | None:
    """The reason why the lab can't be built here; None where it can."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"not installed: {' '.join(missing)} (iproute2, nftables, iptables, ethtool, util-linux, procps)"
    trial = (
        "mount -t tmpfs t /run && ip link add veth0 type veth peer name veth1 && ip link add bridge0 type bridge"
        " && ip link add vxlan0 type vxlan id 1 dstport 8472 local 192.0.2.1"
        " && nft add table inet t '{ map m { type ipv4_addr . inet_proto . inet_service : verdict; }; }'"
    )
    done = subprocess.run([*unshare_command(), "sh", "-c", trial], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"this kernel has no namespaces for it: {done.stderr.strip()}"


def is_inside() -> bool:
    """Whether this process is the first one of its own namespaces."""
    return bool(os.environ.get(_INSIDE)) and os.getpid() == 1


def enter(command: Sequence[str]) -> None:
    """Become `command`, in namespaces of its own. Does not return."""
    argv = [*unshare_command(), *command]
    os.execvpe(argv[0], argv, {**os.environ, _INSIDE: "1"})


def prepare() -> None:
    """Make this mount namespace the lab's: an empty /run, in which all that the lab writes will be.

    Shared memory is its own too: squid keeps a segment there by a name that is always the same.
    """
    for folder in (RUN, SHARED_MEMORY):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "lab", str(folder)], check=True)
    for folder in (NAMED, FILES):
        folder.mkdir()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def bind(source: Path, over: Path) -> None:
    """Put `source` in the place of the file `over`, in this mount namespace."""
    over = over.resolve()
    if not over.exists():  # it leads to /run, which is new
        over.parent.mkdir(parents=True, exist_ok=True)
        over.touch()
    _call("mount", os.fsencode(source), os.fsencode(over), None, ctypes.c_ulong(_MS_BIND), None)


def make_namespace(name: str) -> None:
    """A new network namespace with its loopback up, in the way of `ip netns add`."""
    error: list[BaseException] = []

    def make() -> None:
        try:
            _call("unshare", _CLONE_NEWNET)
            (NAMED / name).touch()
            _call("mount", os.fsencode(_OWN), os.fsencode(NAMED / name), None, ctypes.c_ulong(_MS_BIND), None)
        except OSError as failed:
            error.append(failed)

    thread = threading.Thread(target=make)  # which stays in it, and ends
    thread.start()
    thread.join()
    if error:
        raise error[0]


@contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread is in the network namespace `name` for so long. Sockets opened there stay there for life."""
    with Path(_OWN).open("rb") as home, (NAMED / name).open("rb") as there:
        _call("setns", there.fileno(), _CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", home.fileno(), _CLONE_NEWNET)


def sysctl(name: str, value: object) -> None:
    """Set a sysctl of the network namespace that this thread is in."""
    Path("/proc/sys", *name.split("/")).write_text(f"{value}\n", encoding="ascii")


def run(place: str, *command: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command in the network namespace `place`. RuntimeError with what it said where it fails."""
    with inside(place):
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{place}: {' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done
