"""What a handshake showed, as evidence: facts of the connection, and of the chain as it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from prober.layers.base import Ascent
from prober.wire.tls.certificates import Link
from prober.wire.tls.stream import TlsStream

#: How many alternative names, certificates and authorities are shown.
MAX_NAMES, MAX_LINKS, MAX_AUTHORITIES = 20, 10, 10


def record_connection(ascent: Ascent, stream: TlsStream) -> None:
    """Put down the facts of the connection: what was agreed on, and who asked for a client certificate."""
    connection, tls = stream.connection, ascent.cell.options.tls
    ascent.evidence.update(
        version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name(),
        group=connection.get_group_name(),
        alpn=ascent.alpn,
    )
    if stream.retried:
        ascent.evidence["hello_retry"] = True
    if not tls.sni:
        ascent.evidence["sni"] = False
    if stream.seen.certificate_requested:
        authorities = connection.get_client_ca_list(as_cryptography=True)[:MAX_AUTHORITIES]
        ascent.evidence["client_certificate"] = {
            "sent": tls.certificate_file is not None,
            "authorities": [name.rfc4514_string()[:200] for name in authorities],
        }


def record_chain(ascent: Ascent, chain: tuple[Link, ...]) -> None:
    """Put down the facts of the chain as it was sent, what people ask for first."""
    if chain:
        first, rest = _facts(chain)
        ascent.evidence.update(first)
        left = (chain[0].facts.not_after - datetime.now(UTC)).total_seconds() / 86400
        ascent.evidence["days_left"] = round(left, 1)
        ascent.evidence.update(rest)


@lru_cache(maxsize=4096)
def _facts(chain: tuple[Link, ...]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The facts that a chain always has: made once, whatever number of runs meet it. Nobody changes them."""
    leaf = chain[0].facts
    first = {
        "subject": leaf.subject,
        "issuer": leaf.issuer,
        "names": list(leaf.names[:MAX_NAMES]),
        "not_before": leaf.not_before.isoformat(),
        "not_after": leaf.not_after.isoformat(),
        "not_after_timestamp": min(link.facts.not_after for link in chain).timestamp(),
    }
    rest: dict[str, Any] = {
        "key": leaf.key,
        "signature": leaf.signature,
        "chain": [
            {"subject": link.facts.subject, "issuer": link.facts.issuer, "not_after": link.facts.not_after.isoformat()}
            for link in chain[:MAX_LINKS]
        ],
        "fingerprint": chain[0].fingerprint.hex(),
    }
    if leaf.must_staple:
        rest["must_staple"] = True
    if leaf.timestamps:
        rest["timestamps"] = leaf.timestamps
    return first, rest
