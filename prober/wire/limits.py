"""Limits that the kernel sets for this process. Only getting and raising them; what they allow is decided elsewhere."""

from __future__ import annotations

import resource

#: What macOS grants at most where the hard limit says infinity (OPEN_MAX, sys/syslimits.h).
_OPEN_MAX = 10240


def raise_open_files() -> int:
    """Raise the soft limit of open files to the hard one (getrlimit(2)); the soft limit that holds then.

    Container runtimes leave the soft limit at 1024 for select(2)'s sake; nothing here uses select(2) on sockets.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _OPEN_MAX):
        if soft != resource.RLIM_INFINITY and (wanted == resource.RLIM_INFINITY or wanted > soft):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            except (ValueError, OSError):
                continue  # macOS: the hard limit is nominal
            soft = wanted
    return soft
