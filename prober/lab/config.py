"""The lab's own `probes.yaml`: every kind, every path, and a cell for every fault. Text only, no I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template

from prober.lab.zone import SEARCH


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the servers listen: one number for both families."""

    dns: int
    web: int
    ingress: int
    proxy: int
    grpc: int
    grpcs: int
    api: int
    forbidden: int


@dataclass(frozen=True, slots=True)
class Setting:
    """What differs from one lab to the next."""

    ports: Ports
    ipv6: bool
    ca_file: Path
    token_file: Path


_DEMO = Template("""\
# The embedded lab, seen as a cluster: all servers are on this machine's loopback, the names are in the lab's DNS.

defaults:
  interval: 2s
  timeout: 1s
  families: [$families]
  resolver: {servers: [$servers], search: [$search], ndots: 5}
  tls: {ca_file: "$ca_file"}

targets:
  web-api:                                   # one application, and the ways to it
    paths:
      pod:     {url: "tcp://web-api.app.svc.cluster.local:$web", endpoints: {service: app/web-api, port: http}}
      service: {url: "http://web-api.app.svc.cluster.local:$web/health"}
      ingress: {url: "https://api.example.com/health", connect: "ingress.lab.svc.cluster.local:$ingress"}
      proxied: {url: "https://api.example.com/health", proxy: "http://proxy.lab.svc.cluster.local:$proxy"}
  payments:
    paths:
      service: {url: "grpc://payments.pay.svc.cluster.local:$grpc"}
      secure:  {url: "grpcs://payments.pay.svc.cluster.local:$grpcs"}
  apiserver:
    paths:
      service: {url: "https://kubernetes.default.svc.cluster.local:$api"}
      version: {url: "https://kubernetes.default.svc.cluster.local:$api/version"}
  echo:
    paths:
      service: {url: "icmp://echo.lab.svc.cluster.local"}
  forbidden-db:
    paths:
      service: {url: "tcp://forbidden-db.db.svc.cluster.local:$forbidden"}

probes:
  # The application behind its Service, and the same page as the world sees it.
  - name: web
    kind: http
    matrix: {target: [web-api], path: [service]}
    expect: {status: [200], headers: {content-type: "^text/plain"}, body_contains: ok}
    budget: {dns: 900ms, http: 300ms}
  - name: edge
    kind: http
    matrix: {target: [web-api], path: [ingress, proxied]}
    expect: {status: [200], http_version: "2", body_contains: ok}
    budget: {http: 300ms}
  - name: edge-h2                            # offers nothing but HTTP/2
    kind: http
    matrix: {target: [web-api], path: [ingress]}
    http: {version: "2"}
    expect: {status: [200], body_contains: ok}
    budget: {http: 300ms}

  # The same paths again, but only as far as their connection and their certificate.
  - name: web-l4
    kind: tcp
    matrix: {target: [web-api], path: [pod, service, ingress]}
    interval: 1s
  - name: edge-tls
    kind: tls
    matrix: {target: [web-api], path: [ingress]}
    tls: {alpn: [h2, http/1.1]}

  - name: payments                           # grpc.health.v1, in the clear and over TLS
    kind: grpc
    targets: [payments]
    grpc: {service: payments.v1.Payments}

  # The API server, as a smoke test and as a plain request with the same token.
  - name: apiserver
    kind: kubernetes
    matrix: {target: [apiserver], path: [service]}
    kubernetes: {token_file: "$token_file", ca_file: "$ca_file"}
  - name: apiserver-version
    kind: http
    matrix: {target: [apiserver], path: [version]}
    http: {bearer: {file: "$token_file"}}
    expect: {status: [200], body_contains: gitVersion}

  # Names: a short one that walks the search list against the same one written out, with its dot.
  - name: names
    kind: dns
    matrix: {name: [web-api.app, web-api.app.svc.cluster.local.], type: [A, AAAA], transport: [udp, tcp]}
    families: [ipv4]                         # of the DNS server's address: the type of the record is another matter
    budget: {dns: 200ms}
  - name: outside
    kind: dns
    matrix: {name: [api.example.com, api.example.com.], type: [A]}
    families: [ipv4]
    expect: {answers: [127.0.0.1]}
  - name: headless                           # many addresses: such replies outgrow a datagram
    kind: dns
    matrix: {name: [web-api-headless.app.svc.cluster.local.], type: [A]}

  - name: echo
    kind: icmp
    targets: [echo]
  - name: no-egress                          # a NetworkPolicy canary: to be let through is the failure
    kind: tcp
    targets: [forbidden-db]
    expect: {failed: tcp, reason: [refused]}
""")


def demo_config(setting: Setting) -> str:
    """The configuration for one lab. Without an IPv6 loopback it probes over IPv4 alone, and says so."""
    dns = setting.ports.dns
    servers = [f'"127.0.0.1:{dns}"', f'"[::1]:{dns}"'] if setting.ipv6 else [f'"127.0.0.1:{dns}"']
    return _DEMO.substitute(
        asdict(setting.ports),
        families="ipv4, ipv6" if setting.ipv6 else "ipv4",
        servers=", ".join(servers),
        search=", ".join(SEARCH),
        ca_file=setting.ca_file,
        token_file=setting.token_file,
    ) + ("" if setting.ipv6 else "\n# This machine has no IPv6 loopback address: IPv4 alone.\n")  # fmt: skip
