"""Where this process runs: the vantage from the Downward API, and outside a Pod from the machine.

The variables are set by the manifests (`fieldRef`, `fieldPath`); labels come from a Downward API volume. Since
Kubernetes 1.35 the node's topology labels are among them, which tells zone and region without any variable.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import platform
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from prober.model import Vantage
from prober.reasons import Family
from prober.wire.dns.resolvconf import SYSTEM, parse

log = logging.getLogger(__name__)

USUAL_DOMAIN, DOMAIN_VARIABLE = "cluster.local", "PROBER_CLUSTER_DOMAIN"
ZONE_LABEL, REGION_LABEL = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
#: Family → address family of the socket API, an address of the documentation (RFC 5737, RFC 3849), the loopback.
_WAYS: Mapping[Family, tuple[int, str, str]] = MappingProxyType(
    {
        Family.IPV4: (socket.AF_INET, "192.0.2.1", "127.0.0.1"),
        Family.IPV6: (socket.AF_INET6, "2001:db8::1", "::1"),
    }
)


def find_vantage() -> Vantage:
    """The vantage of this process: see `vantage_from_environment`.

    Where the cluster's domain is not the usual one, `PROBER_CLUSTER_DOMAIN` is set for the configuration to use, unless
    the manifests have set it.
    """
    domain = cluster_domain(_text(SYSTEM))
    if domain is not None and domain != USUAL_DOMAIN:
        os.environ.setdefault(DOMAIN_VARIABLE, domain)
    return vantage_from_environment(os.environ)


def cluster_domain(resolv_conf: str) -> str | None:
    """The domain in the search list that the kubelet writes (`NAMESPACE.svc.DOMAIN svc.DOMAIN DOMAIN`), None elsewhere.

    A Service's name ends in `.svc.` and this domain (Kubernetes DNS-Based Service Discovery, section 2.1).
    """
    search = parse(resolv_conf).search
    domains = [name.removeprefix("svc.") for name in search if name.startswith("svc.")]
    return next((domain.rstrip(".") for domain in domains if domain in search), None)


def vantage_from_environment(env: Mapping[str, str], resolv_conf: Path = SYSTEM) -> Vantage:
    """The vantage that `env` describes; what it leaves out comes from the labels file, else from the machine.

    `PROBER_VANTAGE` (default: the node's name, else the Pod's, else the host's), `PROBER_NODE`, `PROBER_ZONE`,
    `PROBER_REGION`, `PROBER_POD`, `PROBER_NAMESPACE`, `PROBER_POD_IPS` (status.podIPs: the first is of the preferred
    family), `PROBER_LABELS_FILE`, and `KUBERNETES_SERVICE_HOST` with `_PORT`.
    """
    node, pod = env.get("PROBER_NODE", ""), env.get("PROBER_POD", "")
    labels = _labels(env.get("PROBER_LABELS_FILE", ""))
    return Vantage(
        name=env.get("PROBER_VANTAGE") or node or pod or platform.node() or "localhost",
        node=node,
        zone=env.get("PROBER_ZONE") or labels.get(ZONE_LABEL, ""),
        region=env.get("PROBER_REGION") or labels.get(REGION_LABEL, ""),
        pod=pod,
        namespace=env.get("PROBER_NAMESPACE", ""),
        labels=labels,
        families=_families_of(env.get("PROBER_POD_IPS", "").split(",")) or machine_families(),
        resolver_families=_resolver_families(resolv_conf),
        api_server=_api_server(env),
    )


def parse_labels(text: str) -> dict[str, str]:
    """Labels from the lines of a Downward API file: `key="value"`, the value quoted as Go quotes strings.

    A label's value has letters, digits, `-`, `_` and `.` alone, so nothing in it is ever escaped.
    """
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip().strip('"') for key, equals, value in pairs if equals and key.strip()}


def machine_families() -> tuple[Family, ...]:
    """The families that this machine has a route for; where it has none at all, those of its loopback addresses."""
    routed = tuple(family for family in Family if _routed(family))
    return routed or loopback_families() or (Family.IPV4,)


def loopback_families() -> tuple[Family, ...]:
    """The families of this machine's loopback addresses: those of `localhost`."""
    return tuple(family for family in Family if _has_loopback(family))


def _labels(file: str) -> dict[str, str]:
    if not file:
        return {}
    try:
        return parse_labels(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        log.warning("no labels from PROBER_LABELS_FILE: %s", error)
        return {}


def _families_of(addresses: Iterable[str]) -> tuple[Family, ...]:
    """The families of addresses, the first one's first; what is no address is passed over."""
    found: dict[Family, None] = {}
    for address in addresses:
        try:
            version = ipaddress.ip_address(address.strip()).version
        except ValueError:
            continue
        found[Family.IPV4 if version == 4 else Family.IPV6] = None
    return tuple(found)


def _resolver_families(resolv_conf: Path) -> tuple[Family, ...]:
    """The families of the name servers. Without the file it is the one on this machine (resolv.conf(5))."""
    return tuple(dict.fromkeys(server.family for server in parse(_text(resolv_conf)).servers))


def _text(file: Path) -> str:
    """What the file says; nothing where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _api_server(env: Mapping[str, str]) -> tuple[str, int] | None:
    """What the kubelet puts into every container."""
    host, port = env.get("KUBERNETES_SERVICE_HOST", ""), env.get("KUBERNETES_SERVICE_PORT", "")
    return (host, int(port)) if host and port.isascii() and port.isdigit() else None


def _routed(family: Family) -> bool:
    """Whether there is a route to the world: connecting a UDP socket looks for one, and sends nothing."""
    number, address, _ = _WAYS[family]
    return _takes(number, lambda probe: probe.connect((address, 53)))


def _has_loopback(family: Family) -> bool:
    number, _, loopback = _WAYS[family]
    return _takes(number, lambda probe: probe.bind((loopback, 0)))


def _takes(number: int, attempt: Callable[[socket.socket], None]) -> bool:
    """Whether `attempt` succeeds on a UDP socket of the address family `number`.

    EAGAIN is no answer about the family: no local port is left (ip(7), ip_local_port_range).
    """
    try:
        with socket.socket(number, socket.SOCK_DGRAM) as probe:
            attempt(probe)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True
