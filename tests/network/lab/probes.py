"""The lab's `probes.yaml`: seven kinds over every path there is, in both families.

All but the cells of the path `named` go to literal addresses, each family to its own: then what breaks DNS breaks
nothing else. Targets are therefore one for each family, `web-ipv4` and `web-ipv6`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import product
from pathlib import Path

from prober.reasons import Family
from tests.network.lab import plan
from tests.network.lab.isolation import FILES

CA_FILE = FILES / "ca.crt"
#: Every path, and every budget; every path without a budget.
CONFIG_FILE, PATIENT_FILE = FILES / "probes.yaml", FILES / "probes-patient.yaml"
_BUDGET = re.compile(r"^ +budget: .*\n", re.MULTILINE)
#: The name on the certificates of the application, and the one by which the ingresses route to it.
APP, EDGE, EDGE_GRPC, WORLD = "web.app.svc.cluster.local", plan.WEB_HOST, plan.GRPC_HOST, plan.WWW_HOST
DEADLINE, INTERVAL = 1.5, 2.0

_HEAD = f"""\
# Written by the lab. Budgets are far above what is normal here, and below what the faults called slow do.
defaults:
  interval: {INTERVAL:g}s
  timeout: {DEADLINE:g}s
  tls: {{ca_file: {CA_FILE}}}

"""
_PROBES = """\
probes:
  - name: icmp
    kind: icmp
    matrix: {target: [echo-ipv4, echo-ipv6]}
    budget: {icmp: 75ms}
  - name: tcp
    kind: tcp
    targets: [web-ipv4, web-ipv6]
    budget: {tcp: 75ms}
  - name: tls
    kind: tls
    targets: [web-ipv4, web-ipv6]
    tls: {alpn: [h2]}
    budget: {tcp: 75ms}
  - name: http
    kind: http
    targets: [web-ipv4, web-ipv6, named]
    http: {version: "2"}
    expect: {status: [200], http_version: "2", body_contains: ok}
    budget: {tcp: 75ms, http: 350ms}
  - name: grpc
    kind: grpc
    targets: [payments-ipv4, payments-ipv6]
    budget: {tcp: 75ms, grpc: 350ms}
  - name: dns                                # by the Pod's own resolv.conf: family is that of the name server's address
    kind: dns
    matrix: {name: [web.app, web.app.svc.cluster.local.], type: [A, AAAA]}
    families: [ipv4, ipv6]
    budget: {dns: 90ms}
  - name: kubernetes
    kind: kubernetes
    targets: [apiserver-ipv4, apiserver-ipv6]
    budget: {tcp: 75ms}
"""


#: The paths that lead through a front end → its program.
THROUGH = {"nginx": "nginx", "balancer": "nginx", "envoy": "envoy", "haproxy": "haproxy", "proxied": "squid"}


#: What is climbed whatever the fault: its neighbours must not raise an alarm.
ALWAYS = ("pod", "service", "external", "nginx", "named")
#: The others, each only where the fault shows on it.
PATHS = ("same-node", "both", "sticky", "nodeport", "local", "self", "envoy", "haproxy", "balancer", "proxied")


def file_of(path: str, *, slow: bool = False) -> Path:
    """The configuration for a fault that shows on `path`. It has budgets where the fault is that something is `slow`:
    elsewhere a machine that is busy for a moment would be taken for one."""
    name = "core" if path in ALWAYS else path
    return FILES / f"probes-{name}{'-budgets' if slow else ''}.yaml"


def files(missing: Collection[str] = ()) -> Iterator[tuple[Path, str]]:
    """All files and what they say, without the paths through front ends that are `missing`."""
    left_out = {path for path, program in THROUGH.items() if program in missing}
    yield CONFIG_FILE, config(left_out)
    yield PATIENT_FILE, _BUDGET.sub("", config(left_out))
    for path, slow in product((*ALWAYS[:1], *PATHS), (False, True)):
        text = config(left_out | {*PATHS} - {path})
        yield file_of(path, slow=slow), text if slow else _BUDGET.sub("", text)


def config(left_out: Collection[str] = ()) -> str:
    """A whole file, without these paths."""
    lines = [_HEAD + "targets:"]
    for family in Family:
        lines += [f"  web-{family}:", "    paths:", *_lines(_web(family), left_out)]
        lines += [f"  payments-{family}:", "    paths:", *_lines(_payments(family), left_out)]
        lines += [f"  apiserver-{family}:", "    paths:", *_lines(_apiserver(family))]
        lines += [f"  echo-{family}:", "    paths:", *_lines(_echo(family))]
    lines += ["  named:", "    paths:", f'      named: {{url: "https://{APP}/health"}}', ""]
    return "\n".join(lines) + "\n" + _PROBES


def _lines(paths: Iterable[tuple[str, str]], left_out: Collection[str] = ()) -> Iterator[str]:
    for path, written in paths:
        if path not in left_out:
            yield f"      {path}: {{{written}}}"


def _at(address: str, port: int, family: Family) -> str:
    return f"{address}:{port}" if family is plan.V4 else f"[{address}]:{port}"


def _service(name: str, family: Family, port: int = 443) -> str:
    return _at(plan.SERVICES[name].address(family), port, family)


def _web(family: Family) -> Iterator[tuple[str, str]]:
    """The paths to the web application, each as it is written in the file."""
    external = plan.SERVICES["nginx"].external_address(family) or ""
    ways = {
        "pod": (APP, _at(plan.WEB2.address(family), plan.HTTPS, family)),
        "same-node": (APP, _at(plan.WEB1.address(family), plan.HTTPS, family)),
        "service": (APP, _service("web", family)),
        "both": (APP, _service("web-both", family)),
        "sticky": (APP, _service("web-sticky", family)),
        "nodeport": (APP, _at(plan.NODE2.address(family), 30443, family)),
        "local": (APP, _at(plan.NODE2.address(family), 30444, family)),
        "self": (APP, _service("self", family)),
        "nginx": (EDGE, _service("nginx", family)),
        "envoy": (EDGE, _service("envoy", family)),
        "haproxy": (EDGE, _service("haproxy", family)),
        "balancer": (EDGE, _at(external, 443, family)),
        "external": (WORLD, _at(plan.OUTSIDE_ADDRESSES[family], 443, family)),
    }
    for path, (name, where) in ways.items():
        yield path, f'url: "https://{name}/health", connect: "{where}"'
    proxy = _service("squid", family, 3128)
    yield "proxied", f'url: "https://{WORLD}/health", proxy: "http://{proxy}"'


def _payments(family: Family) -> Iterator[tuple[str, str]]:
    yield "pod", f'url: "grpc://{_at(plan.WEB2.address(family), plan.GRPC, family)}"'
    yield "service", f'url: "grpc://{_service("payments", family, plan.GRPC)}"'
    for ingress in ("nginx", "envoy", "haproxy"):
        yield ingress, f'url: "grpcs://{EDGE_GRPC}", connect: "{_service(ingress, family)}"'


def _apiserver(family: Family) -> Iterator[tuple[str, str]]:
    where = _service("kubernetes", family)
    yield "service", f'url: "https://kubernetes.default.svc.cluster.local", connect: "{where}"'


def _echo(family: Family) -> Iterator[tuple[str, str]]:
    hosts = {"pod": plan.WEB2.address(family), "same-node": plan.WEB1.address(family),
             "external": plan.OUTSIDE_ADDRESSES[family]}  # fmt: skip
    for path, address in hosts.items():
        yield path, f'url: "icmp://{address if family is plan.V4 else f"[{address}]"}"'
