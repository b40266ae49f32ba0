"""HAProxy as ingress: ends TLS, routes by SNI and Host, forwards in the family that the client came by."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.network.lab.fronts.ingress import ANSWER_TIMEOUT, CONNECT_TIMEOUT, GRPC_HOST, Ingress, Routing, authority

#: One connection for each request, as nginx has it: an idle one from before a fault would hide it.
_MAIN = f"""\
global
  maxconn 1000
  nbthread 1
  hard-stop-after 500ms
defaults
  mode http
  retries 0
  http-reuse never
  option http-server-close
  timeout connect {CONNECT_TIMEOUT * 1000:.0f}ms
  timeout server {ANSWER_TIMEOUT * 1000:.0f}ms
  timeout client 10s
  timeout http-request 10s
backend nowhere
  http-request return status 404 content-type text/plain string "no route"
"""


def configuration(routing: Routing, bundle: Path) -> str:
    """The text of haproxy.cfg; `bundle` holds certificate and key."""
    return _MAIN + "\n".join(_sections(routing, bundle)) + "\n"


def _sections(routing: Routing, bundle: Path) -> Iterator[str]:
    strict = " strict-sni" if routing.strict_sni else ""
    alpn = "h2,http/1.1" if routing.http2 else "http/1.1"
    for number, side in enumerate(routing.sides):
        yield f"frontend side{number}"
        # HAProxy takes a name in crt-list for one that has this certificate
        yield f"  bind {authority(side.listen)} ssl crt-list {bundle.with_suffix('.list')} alpn {alpn}{strict}"
        for host in routing.hosts:
            yield f"  use_backend {host}-{number} if {{ req.hdr(host),field(1,:) -i {host} }}"
        yield "  default_backend nowhere"
        for host in routing.hosts:
            grpc = host == GRPC_HOST
            yield f"backend {host}-{number}"
            protocol = " proto h2" if grpc and not routing.grpc_over_http1 else ""
            yield f"  server pod {authority(side.payments if grpc else side.web)}{protocol}"


class HAProxy(Ingress):
    """One process."""

    program = "haproxy"
    ends_on = signal.SIGUSR1

    def prepare(self) -> Sequence[str]:
        """See Front."""
        bundle, file = self.directory / "bundle.pem", self.directory / "haproxy.cfg"
        bundle.touch(mode=0o600)
        bundle.write_bytes(self.routing.certificate.read_bytes() + self.routing.key.read_bytes())
        names = " ".join(self.routing.hosts) if self.routing.strict_sni else ""
        bundle.with_suffix(".list").write_text(f"{bundle} {names}\n", encoding="utf-8")
        file.write_text(configuration(self.routing, bundle), encoding="utf-8")
        return ["-db", "-q", "-f", str(file)]
