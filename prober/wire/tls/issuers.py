"""Whether an issuer that nobody knows is an intermediate that the server should have sent."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from prober.wire.tls.certificates import CertificateFacts, Link, attribute

_CALLED_INTERMEDIATE = re.compile(r"\b(intermediate|issuing|subordinate|sub[ -]?ca)\b", re.IGNORECASE)


class SeenIssuers:
    """Intermediates that this process has seen in chains that verified: who they are is no longer a guess."""

    def __init__(self) -> None:
        self._keys: dict[str, set[str]] = {}
        self._learnt: set[Link] = set()

    def learn(self, chain: Sequence[Link]) -> None:
        """Remember the issuers in a chain that verified."""
        for link in chain[1:]:
            if link not in self._learnt and len(self._learnt) < MAX_LEARNT:
                self._learnt.add(link)
                self._keys.setdefault(link.facts.subject, set()).add(link.facts.key_id)

    def issued(self, facts: CertificateFacts) -> bool:
        """Whether one of them issued that certificate: by name, and by key where both tell it."""
        keys = self._keys.get(facts.issuer)
        return keys is not None and (not facts.issuer_key_id or facts.issuer_key_id in keys or "" in keys)

    def close(self) -> None:
        """Forget them all."""
        self._keys.clear()
        self._learnt.clear()


#: Issuers that are remembered: those of a few thousand different servers.
MAX_LEARNT = 4096


def misses_intermediate(chain: Sequence[Link], trusted: frozenset[str], seen: SeenIssuers) -> bool:
    """Whether an unknown issuer looks like an intermediate that the server should have sent.

    OpenSSL gives error 20 for both, and a lone leaf proves neither. It is called incomplete if the issuer of the last
    certificate that hangs together with the leaf was seen before, or shares its organization with an authority that we
    trust, or is called an intermediate, or, where the leaf stands alone, if it says where to fetch its issuer's
    certificate; else the authority itself is unknown. A certificate of the right name with another key than the leaf
    was signed with hangs together with nothing.
    """
    if not chain:
        return False
    last = _last_in_line(chain)
    facts = last.facts
    return not facts.self_issued and (
        seen.issued(facts)
        or (last is chain[0] and facts.names_issuer_url)
        or facts.issuer_organization in trusted
        or _CALLED_INTERMEDIATE.search(facts.issuer) is not None
    )


def _last_in_line(chain: Sequence[Link]) -> Link:
    """From the leaf as far up as the chain leads, in whatever order it was sent (RFC 8446 section 4.4.2)."""
    last, rest = chain[0], list(chain[1:])
    while (above := next((link for link in rest if _may_have_issued(link, last)), None)) is not None:
        last = above
        rest.remove(above)
    return last


def issuer_of(leaf: Link, links: Sequence[Link]) -> Link | None:
    """Who among `links` issued `leaf`, by name and key."""
    return next((link for link in links if link is not leaf and _may_have_issued(link, leaf)), None)


def _may_have_issued(above: Link, below: Link) -> bool:
    key, wanted = above.facts.key_id, below.facts.issuer_key_id
    return above.certificate.subject == below.certificate.issuer and (not key or not wanted or key == wanted)


def trusted_organizations(bundle: Path) -> frozenset[str]:
    """Organizations of the authorities in a PEM bundle. OSError or ValueError where it can't be read."""
    return _organizations(bundle, bundle.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _organizations(bundle: Path, _stamp: int) -> frozenset[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an old authority's serial number: OpenSSL trusts it all the same
        certificates = x509.load_pem_x509_certificates(bundle.read_bytes())
    return frozenset(attribute(c.subject, NameOID.ORGANIZATION_NAME) for c in certificates) - {""}
