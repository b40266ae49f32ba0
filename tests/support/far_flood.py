"""Echo requests into a far side that answers each with a flood of replies to somebody else, measured.

Run as a program inside a network namespace of its own (see `netns.py`); it prints a line of JSON for each family, as
`measured.py` does.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading

from prober.layers.base import Kit
from prober.reasons import Family
from tests.support import far_ping, far_side
from tests.support.measured import cell_of, measured

#: Replies to one request; each with the right identifier and sequence number, and a forged token.
STRAYS = 20_000


def play(descriptor: int) -> None:
    while True:
        packet = os.read(descriptor, 65536)
        if (reply := far_ping.answer(packet)) is not None:
            for _ in range(STRAYS):
                os.write(descriptor, reply)


async def main() -> None:
    kit = Kit()
    for family, net in ((Family.IPV4, far_side.V4_NET), (Family.IPV6, far_side.V6_NET)):
        cell, found = cell_of({
            "kind": "icmp", "scheme": "icmp", "address": f"{net}{far_ping.FORGED}", "port": 0, "family": family,
            "timeout": 1.0, "options": {"icmp": {"count": 5, "gap": "10ms"}},
        })  # fmt: skip
        print(json.dumps({"family": family, **await measured(cell, kit, found)}))
    await kit.close()


if __name__ == "__main__":
    threading.Thread(target=play, args=(far_side.open_tun(),), daemon=True).start()
    asyncio.run(main())
