"""The C libraries that can judge here: this machine's glibc, and programs linked with a musl."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from tests.support.tools import require_tool

_SOURCE = Path(__file__).with_name("musl_getaddrinfo.c")


def why_no_glibc() -> str | None:
    """The reason why the C library of this Python is no judge; None where it is a glibc that asks by itself."""
    if platform.libc_ver()[0] != "glibc":
        return "the C library here is not glibc"
    return "getaddrinfo here asks nscd" if Path("/run/nscd/socket").exists() else None


def musl_program(folder: Path) -> Path:
    """A static program in `folder` that calls getaddrinfo of the musl that musl-gcc links (`musl_getaddrinfo.c`)."""
    return _linked(folder, require_tool("musl-gcc"), "-static")


def zig_program(folder: Path) -> Path:
    """The same of the musl that Zig brings along and compiles (`pip install ziglang`)."""
    return _linked(folder, require_tool("zig"), "cc", "-target", f"{platform.machine()}-linux-musl", "-static")


def is_modern_musl() -> bool:
    """musl-gcc's is 1.2.4 or newer, which brought TCP and took `open64` out of its headers."""
    macros = [require_tool("musl-gcc"), "-D_GNU_SOURCE", "-dM", "-E", "-"]
    done = subprocess.run(macros, input=b"#include <fcntl.h>\n", capture_output=True, check=True)
    return b"open64" not in done.stdout


def _linked(folder: Path, *compiler: str) -> Path:
    program = folder / "getaddrinfo"
    done = subprocess.run([*compiler, "-o", str(program), str(_SOURCE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program
