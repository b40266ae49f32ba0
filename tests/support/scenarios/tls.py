"""TLS servers (of the standard library, over the lab's connections) with one defect each."""

from __future__ import annotations

import ssl
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.x509 import ocsp

from prober.lab.connection import Connection, TlsConnection
from prober.lab.tls import make_context
from prober.reasons import Kind, Layer, Reason
from tests.support.scenarios import ENOUGH, NAME, SHORT, Place, Shown, add, shows
from tests.support.scenarios.servers import Serve, listening
from tests.support.staples import Staples

#: reason → the lab's fault that shows it.
DEFECTS: dict[Reason, str] = {
    Reason.EXPIRED: "tls-expired",
    Reason.NOT_YET_VALID: "tls-not-yet-valid",
    Reason.NAME_MISMATCH: "tls-wrong-name",
    Reason.UNKNOWN_AUTHORITY: "tls-unknown-ca",
    Reason.SELF_SIGNED: "tls-self-signed",
    Reason.INCOMPLETE_CHAIN: "tls-incomplete-chain",
    Reason.WRONG_PURPOSE: "tls-wrong-purpose",
    Reason.PROTOCOL_VERSION: "tls-old-version",
    Reason.NO_ALPN: "tls-no-alpn",
    Reason.HANDSHAKE: "tls-no-cipher",
}


def speaks(context: ssl.SSLContext) -> Serve:
    """Does the handshake, then reads to the end."""

    async def serve(connection: Connection) -> None:
        tls = TlsConnection(connection, context)
        await tls.handshake()
        await tls.drain()

    return serve


async def _shake(place: Place, serve: Serve, timeout: float = ENOUGH, **tls: Any) -> Shown:
    async with listening(place.family, serve) as port:
        return await place.climb(place.cell(Kind.TLS, "tls", port, timeout=timeout, options={"tls": tls}))


async def _defective(place: Place, defect: str) -> Shown:
    context = make_context(place.files, [NAME], frozenset({defect}))
    return await _shake(place, speaks(context), alpn=["h2"])


for _reason, _defect in DEFECTS.items():
    add(Layer.TLS, _reason, partial(_defective, defect=_defect))


@shows(Layer.TLS, Reason.EXPIRES_SOON)
async def a_month_where_three_are_asked_for(place: Place) -> Shown:
    return await _shake(place, speaks(make_context(place.files, [NAME])), min_days_left=90)


async def _stapled(place: Place, status: ocsp.OCSPCertStatus) -> Shown:
    with TemporaryDirectory() as directory:
        staples = Staples(Path(directory))
        with staples.serve(place.family, staples.response(status)) as port:
            tls = {"ca_file": str(staples.ca_file), "staple": "required"}
            return await place.climb(place.cell(Kind.TLS, "tls", port, options={"tls": tls}))


add(Layer.TLS, Reason.REVOKED, partial(_stapled, status=ocsp.OCSPCertStatus.REVOKED))
add(Layer.TLS, Reason.NO_STAPLE, partial(_stapled, status=ocsp.OCSPCertStatus.UNKNOWN))


@shows(Layer.TLS, Reason.UNRECOGNIZED_NAME)
async def a_name_that_the_server_does_not_know(place: Place) -> Shown:
    context = make_context(place.files, [NAME])
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    return await _shake(place, speaks(context))


@shows(Layer.TLS, Reason.CLIENT_CERTIFICATE)
async def a_client_certificate_that_tls_1_2_asks_for(place: Place) -> Shown:
    context = make_context(place.files, [NAME], frozenset({"tls-client-certificate"}))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return await _shake(place, speaks(context))


@shows(Layer.TLS, Reason.NOT_TLS)
async def plain_http(place: Place) -> Shown:
    async def serve(connection: Connection) -> None:
        await connection.receive()
        await connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await connection.finish()

    return await _shake(place, serve)


@shows(Layer.TLS, Reason.RESET)
async def a_reset_for_a_hello(place: Place) -> Shown:
    async def serve(connection: Connection) -> None:
        await connection.receive()
        connection.reset()

    return await _shake(place, serve)


@shows(Layer.TLS, Reason.CLOSED)
async def an_end_for_a_hello(place: Place) -> Shown:
    async def serve(connection: Connection) -> None:
        await connection.receive()
        await connection.finish()

    return await _shake(place, serve)


@shows(Layer.TLS, Reason.TIMEOUT)
async def silence_for_a_hello(place: Place) -> Shown:
    return await _shake(place, Connection.drain, SHORT)
