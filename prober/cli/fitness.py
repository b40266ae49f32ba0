"""Checks of `prober doctor`: what probes need of this place. Each gives what it found, in words for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from prober.model import Cell, Vantage
from prober.options import KubernetesOptions, SecretFile
from prober.reasons import Family, Kind
from prober.wire.dns.resolvconf import SYSTEM, system
from prober.wire.icmp import NotPermittedError
from prober.wire.pinger import Pinger

_HOSTS = Path("/etc/hosts")
_PING_RANGE = Path("/proc/sys/net/ipv4/ping_group_range")
_NAMES = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}
_MANY_QUERIES = 8


class State(Enum):
    """What a check found."""

    FIT = "fit"
    NOTE = "note"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. UNFIT only where something that is needed cannot work."""

    name: str
    state: State
    says: str


def families(vantage: Vantage, cells: Sequence[Cell] | None) -> Check:
    """The families of this place's addresses, against those that cells probe."""
    have = " and ".join(_NAMES[family] for family in vantage.families)
    if not have:
        return Check("families", State.UNFIT, "no address but loopback: nothing can be reached from here")
    lacking = {cell.family for cell in cells or ()} - set(vantage.families) - set(vantage.resolver_families)
    if lacking:
        names = " and ".join(_NAMES[family] for family in sorted(lacking))
        return Check("families", State.NOTE, f"{have}; the configuration probes {names} too, which is not here")
    return Check("families", State.FIT, have + ("" if len(vantage.families) > 1 else " only"))


async def icmp(vantage: Vantage, cells: Sequence[Cell] | None) -> list[Check]:
    """Whether echo can be sent in each family: by a datagram socket, else by a raw one."""
    wanted = list(vantage.families)
    if cells is not None:
        used = {cell.family for cell in cells if cell.kind is Kind.ICMP}
        if not used:
            return [Check("icmp", State.FIT, "not needed: no icmp probe here")]
        wanted = [family for family in wanted if family in used]
    return [_icmp(family) for family in wanted]


def _icmp(family: Family) -> Check:
    pinger = Pinger()
    name = f"icmp {_NAMES[family]}"
    try:
        raw = pinger.socket(family).raw
    except NotPermittedError:
        allowed = _PING_RANGE.read_text().split() if _PING_RANGE.exists() else []
        says = (
            f"may not be sent: ping_group_range is {' '.join(allowed) or 'unknown'}; the Pod's securityContext can set "
        )
        says += 'the safe sysctl net.ipv4.ping_group_range to "0 2147483647" (it covers both families)'
        return Check(name, State.UNFIT, says)
    except OSError as error:
        return Check(name, State.NOTE, f"no socket: {error.strerror}")
    finally:
        pinger.close()
    if raw:
        return Check(name, State.FIT, "raw socket (CAP_NET_RAW); no datagram socket: ping_group_range leaves us out")
    return Check(name, State.FIT, "datagram socket, no capability needed")


def resolver(vantage: Vantage) -> Iterator[Check]:
    """The name servers of resolv.conf, and what its search list costs."""
    conf = system()
    if not _names_server(SYSTEM):
        yield Check("resolver", State.NOTE, f"{SYSTEM} names no server: names go to {conf.servers[0]}")
    servers = ", ".join(map(str, conf.servers))
    reachable = [s for s in conf.servers if s.family in vantage.families or s.address.startswith(("127.", "::1"))]
    if not reachable:
        yield Check("resolver", State.UNFIT, f"{servers}: this place has no address of their family")
    elif len(reachable) < len(conf.servers):
        yield Check("resolver", State.NOTE, f"{servers}; not all of them are of a family that this place has")
    else:
        yield Check("resolver", State.FIT, f"{servers} (timeout {conf.timeout:g} s, {conf.attempts} attempts)")
    queries = 2 * (len(conf.search) + 1) if conf.ndots > 1 else 2
    says = f"ndots {conf.ndots}, {len(conf.search)} search domains: www.example.com costs {queries} queries"
    if queries >= _MANY_QUERIES:
        yield Check("search", State.NOTE, f"{says}, with a trailing dot 2")
    else:
        yield Check("search", State.FIT, says)


def _names_server(path: Path) -> bool:
    """Whether `path` is there, and has a line for a server."""
    return any(line.split()[:1] == ["nameserver"] for line in _lines(path))


def _lines(path: Path) -> list[str]:
    """The lines of a file of the system; none where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def hosts(cells: Sequence[Cell] | None, path: Path = _HOSTS) -> Iterator[Check]:
    """Names of the configuration that programs here take from /etc/hosts (`hostAliases`), and the prober from DNS."""
    wanted = {cell.endpoint.host.rstrip(".").lower() for cell in cells or () if cell.kind is not Kind.DNS} - {
        "localhost"
    }
    for address, names in _entries(path):
        for name in sorted(wanted & names):
            says = f"{path} gives {name} as {address}: programs here go there, the prober asks DNS"
            yield Check("hosts", State.NOTE, says)


def _entries(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Address → names, by line of a hosts(5) file; nothing where it cannot be read."""
    for line in _lines(path):
        address, *names = line.partition("#")[0].split() or [""]
        yield address, {name.rstrip(".").lower() for name in names}


def files(cells: Sequence[Cell] | None, environment: Mapping[str, str]) -> Iterator[Check]:
    """Token and CA of the Pod, and every file that the configuration names."""
    in_cluster = "KUBERNETES_SERVICE_HOST" in environment
    defaults = KubernetesOptions()
    needed = cells is None or any(cell.kind is Kind.KUBERNETES for cell in cells)
    if not in_cluster:
        yield Check("cluster", State.NOTE, "not in a cluster: no token, no API server by itself")
    elif needed:
        yield _pod_file(
            "token", defaults.token_file, "probes of the API server go without it (401 and 403 still count)"
        )
        yield _pod_file("cluster CA", defaults.ca_file, "the API server's certificate is held against the system's CAs")
    for path in sorted({path for cell in cells or () for path in _named(cell)}):
        error = _unreadable(path)
        if error:
            yield Check("file", State.UNFIT, f"{path}: {error}")
        else:
            yield Check("file", State.FIT, f"{path} can be read")


def _pod_file(name: str, path: Path, without: str) -> Check:
    if not path.exists():
        return Check(name, State.NOTE, f"{path} is not mounted: {without}")
    error = _unreadable(path)
    return Check(name, State.UNFIT, f"{path}: {error}") if error else Check(name, State.FIT, f"{path} can be read")


def _unreadable(path: Path) -> str:
    """Why `path` cannot be read; "" if it can."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _named(cell: Cell) -> Iterator[Path]:
    """The files that a cell's options name."""
    options = cell.options
    for path in (options.tls.ca_file, options.tls.certificate_file, options.tls.key_file):
        if path is not None:
            yield path
    secrets = [options.http.bearer, *options.http.headers.values(), *options.grpc.metadata.values()]
    if options.http.basic is not None:
        secrets.append(options.http.basic.password)
    for secret in secrets:
        if isinstance(secret, SecretFile):
            yield secret.file
