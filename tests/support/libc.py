"""Whether this machine's getaddrinfo is glibc's and asks nothing but DNS, so that it can judge."""

from __future__ import annotations

import platform
from pathlib import Path

from prober.wire.dns.resolvconf import system
from tests.support.netns import why_not


def why_no_glibc() -> str | None:
    """The reason why glibc can't be compared with here; None where it can."""
    if platform.libc_ver()[0] != "glibc":
        return "the C library here is not glibc"
    nsswitch = Path("/etc/nsswitch.conf")
    hosts = (
        [line for line in nsswitch.read_text().splitlines() if line.startswith("hosts:")] if nsswitch.exists() else []
    )
    if "resolve" in "".join(hosts) or Path("/run/nscd/socket").exists():
        return "getaddrinfo here asks more than DNS"
    return f"{system().servers[0]} cannot be taken over" if "%" in system().servers[0].address else why_not()
