"""One case of the table: a name, a resolv.conf, what its servers do, and where those servers are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Which C libraries there are, and who asks: each has servers of its own, so that all can ask at the same time.
LIBC, MACHINE = 1, 2
FOUND = "10.1.1.1"
QUICK = "timeout:1 attempts:2"
ONCE = "timeout:1 attempts:1"


@dataclass(frozen=True)
class Case:
    """A name and its circumstances.

    `servers`: `v4` or `v6`, and after a slash what is wrong there: `closed` (nobody listens), `no-tcp`, `silent-tcp`
    (connections are taken, nothing is said), `full-tcp` (no connection is taken), `unroutable`.
    `says`: what is answered, by what was asked: see `server.word_for` and `reply.replies`.
    `conf`: the whole file, `{0}` for the first server's address; else it is made of `servers`, `search`, `options`.
    `types`: one of them alone is AF_INET or AF_INET6.
    `apart`: C libraries for which the case does not count, each with its reason.
    """

    name: str
    options: str = "ndots:5"
    says: Mapping[str, str] = field(default_factory=dict)
    servers: tuple[str, ...] = ("v4",)
    search: str = "ns.svc.c svc.c c"
    conf: str = ""
    hostname: str = "host"
    types: tuple[str, ...] = ("A", "AAAA")
    apart: Mapping[str, str] = field(default_factory=dict)

    def resolv_conf(self, addresses: tuple[str, ...]) -> str:
        """The file, with the servers at `addresses`."""
        if self.conf:
            return self.conf.format(*addresses)
        lines = [f"nameserver {address}" for address in addresses]
        return "\n".join([*lines, *([f"search {self.search}"] if self.search else []), f"options {self.options}", ""])


def addresses(case: Case, number: int, who: int) -> tuple[str, ...]:
    """Where the servers of case `number` are for those that `who` asks."""
    return tuple(_address(server, number, who, position) for position, server in enumerate(case.servers, 1))


def _address(server: str, number: int, who: int, position: int) -> str:
    high, low = divmod(number, 250)
    if server.endswith("unroutable"):
        return f"198.{17 + who}.{position * 8 + high}.{low + 1}"  # RFC 2544's network: nobody has a route there
    if server.startswith("v6"):
        return f"fd53::{who}:{position}:{number + 1:x}"
    return f"127.{who * 10 + position}.{high}.{low + 1}"
