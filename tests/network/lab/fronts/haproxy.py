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
    for number, side in enumerate(routing.sides):
        strict = " strict-sni" if side.strict_sni else ""
        alpn = "h2,http/1.1" if side.http2 else "http/1.1"
        yield f"frontend side{number}"
        yield f"  bind {authority(side.listen)} ssl crt-list {_names(bundle, number)} alpn {alpn}{strict}"
        for host in side.hosts:
            yield f"  use_backend {host}-{number} if {{ req.hdr(host),field(1,:) -i {host} }}"
        yield "  default_backend nowhere"
        for host in side.hosts:
            grpc = host == GRPC_HOST
            yield f"backend {host}-{number}"
            protocol = " proto h2" if grpc and not side.grpc_over_http1 else ""
            yield f"  server pod {authority(side.payments if grpc else side.web)}{protocol}"


def _names(bundle: Path, number: int) -> Path:
    """The file that says for which names a side takes the certificate: else those would be its own."""
    return bundle.with_name(f"names{number}.list")


class HAProxy(Ingress):
    """One process."""

    program = "haproxy"
    ends_on = signal.SIGUSR1

    def prepare(self) -> Sequence[str]:
        """See Front."""
        bundle, file = self.directory / "bundle.pem", self.directory / "haproxy.cfg"
        bundle.touch(mode=0o600)
        bundle.write_bytes(self.routing.certificate.read_bytes() + self.routing.key.read_bytes())
        for number, side in enumerate(self.routing.sides):
            names = " ".join(side.hosts) if side.strict_sni else ""
            _names(bundle, number).write_text(f"{bundle} {names}\n", encoding="utf-8")
        file.write_text(configuration(self.routing, bundle), encoding="utf-8")
        return ["-db", "-q", "-f", str(file)]
