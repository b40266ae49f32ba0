"""What a handshake showed, as evidence: facts of the connection, and of the chain as it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from prober.layers.base import Ascent
from prober.wire.certificates import Link
from prober.wire.tls import TlsStream

#: How many alternative names, certificates and authorities are shown.
MAX_NAMES, MAX_LINKS, MAX_AUTHORITIES = 20, 10, 10


def record(ascent: Ascent, stream: TlsStream, chain: tuple[Link, ...]) -> None:
    """Put down the facts of the connection and of the chain as it was sent."""
    connection, tls = stream.connection, ascent.cell.options.tls
    version = connection.get_protocol_version_name()
    ascent.evidence.update(
        version=version,
        cipher=connection.get_cipher_name(),
        group=connection.get_group_name(),
        alpn=stream.alpn,
    )
    if not tls.sni:
        ascent.evidence["sni"] = False
    if stream.seen.certificate_requested:
        authorities = connection.get_client_ca_list(as_cryptography=True)[:MAX_AUTHORITIES]
        ascent.evidence["client_certificate"] = {
            "version": version,
            "sent": tls.certificate_file is not None,
            "authorities": [name.rfc4514_string()[:200] for name in authorities],
        }
    if chain:
        ascent.evidence.update(_chain(chain))
        ends = chain[0].facts.not_after
        ascent.evidence["days_left"] = round((ends - datetime.now(UTC)).total_seconds() / 86400, 1)


@lru_cache(maxsize=4096)
def _chain(chain: tuple[Link, ...]) -> Mapping[str, Any]:
    """The facts that a chain always has: made once, whatever number of runs meet it. Nobody changes them."""
    leaf = chain[0].facts
    facts: dict[str, Any] = {
        "subject": leaf.subject,
        "issuer": leaf.issuer,
        "names": list(leaf.names[:MAX_NAMES]),
        "key": leaf.key,
        "signature": leaf.signature,
        "fingerprint": chain[0].fingerprint.hex(),
        "not_before": leaf.not_before.isoformat(),
        "not_after": leaf.not_after.isoformat(),
        "not_after_timestamp": min(link.facts.not_after for link in chain).timestamp(),
        "chain": [
            {"subject": link.facts.subject, "issuer": link.facts.issuer, "not_after": link.facts.not_after.isoformat()}
            for link in chain[:MAX_LINKS]
        ],
    }
    if leaf.must_staple:
        facts["must_staple"] = True
    if leaf.timestamps:
        facts["timestamps"] = leaf.timestamps
    return facts
