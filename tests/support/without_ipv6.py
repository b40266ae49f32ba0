"""One command line of `prober` on a machine that has no IPv6 address at all, not even ::1.

Run as a program inside a network namespace of its own (see `netns.py`). The command's output is followed by a line
with its exit code.
"""

from __future__ import annotations

import subprocess
import sys

from prober.cli.main import main

if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # where IPv6 is off already there is nothing to take away
    subprocess.run(["ip", "-6", "address", "flush", "dev", "lo"], check=False, stderr=subprocess.DEVNULL)
    print(f"exit code {main(sys.argv[1:])}")
