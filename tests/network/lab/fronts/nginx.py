"""nginx as ingress: ends TLS, routes by SNI and Host, forwards in the family that the client came by."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

from tests.network.lab.fronts.ingress import (
    ANSWER_TIMEOUT,
    CONNECT_TIMEOUT,
    GRPC_HOST,
    Ingress,
    Routing,
    Side,
    authority,
)

_PATIENCE = 5.0  # seconds that a reload may take
_PAUSE = 0.005

_MAIN = """\
user root;
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  proxy_http_version 1.1;
  proxy_set_header Host $host;
  proxy_set_header X-Request-ID $http_x_request_id;
  {timeouts}
{servers}
}}
"""
_SERVER = """\
  server {{
    listen {listen} ssl{http2}{flags};
    {rest}
  }}
"""


def _timeouts() -> str:
    """Those of proxy_pass and of grpc_pass."""
    connect, answer = f"{CONNECT_TIMEOUT * 1000:.0f}ms", f"{ANSWER_TIMEOUT * 1000:.0f}ms"
    return " ".join(f"{way}_connect_timeout {connect}; {way}_read_timeout {answer};" for way in ("proxy", "grpc"))


def configuration(routing: Routing, directory: object) -> str:
    """The text of nginx.conf."""
    servers = "".join(_servers(side) for side in routing.sides)
    return _MAIN.format(directory=directory, certificate=routing.certificate, key=routing.key, timeouts=_timeouts(),
                        servers=servers)  # fmt: skip


def _servers(side: Side) -> str:
    """One server for each host, and one for what has no route."""
    address = authority(side.listen)
    http2 = " http2" if side.http2 else ""
    refuse = "ssl_reject_handshake on; " if side.strict_sni else ""
    flags = " default_server" + (" ipv6only=on" if ":" in side.listen[0] else "")
    rest = [_SERVER.format(listen=address, http2=http2, flags=flags, rest=f"{refuse}return 404;")]
    for host in side.hosts:
        text = f"server_name {host}; location / {{ {_forward(side, host)} }}"
        rest.append(_SERVER.format(listen=address, http2=http2, flags="", rest=text))
    return "".join(rest)


def _forward(side: Side, host: str) -> str:
    if host != GRPC_HOST:
        return f"proxy_pass http://{authority(side.web)};"
    payments = authority(side.payments)
    return f"proxy_pass http://{payments};" if side.grpc_over_http1 else f"grpc_pass grpc://{payments};"


class Nginx(Ingress):
    """A master and one worker."""

    program = "nginx"

    def prepare(self) -> Sequence[str]:
        """See Front."""
        file = self.directory / "nginx.conf"
        file.write_text(configuration(self.routing, self.directory), encoding="utf-8")
        return ["-p", str(self.directory), "-c", str(file), "-e", str(self.directory / "error.log")]

    async def start(self) -> None:
        """See Front. The master listens before there is a worker to take what comes."""
        await super().start()
        try:
            await self._until_workers_are_other_than(set())
        except ProcessLookupError:
            raise self._ended() from None  # whoever took our connection was another

    async def reload(self, routing: Routing) -> None:
        """Take another routing without closing a port (SIGHUP); return once the old worker is gone."""
        self.routing = routing
        self.prepare()
        old = set(self.workers())
        self.signal(signal.SIGHUP)
        await self._until_workers_are_other_than(old)

    async def _until_workers_are_other_than(self, old: set[int]) -> None:
        async with asyncio.timeout(_PATIENCE):
            while not (now := set(self.workers())) or now & old:  # noqa: ASYNC110 - they are not our children
                await asyncio.sleep(_PAUSE)
