"""What the keys of the block `tls:` get wrong, and the names that its lists may hold. Pure.

The lists are those of the OpenSSL that pyOpenSSL brings; a test holds them against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prober.config.dns_blocks import Finding
from prober.config.words import suggest
from prober.options import TlsOptions

#: Suites of TLS 1.2 and below, without those that take a shared secret (PSK, SRP).
CIPHERS: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "DHE-DSS-AES256-GCM-SHA384",
    "DHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-CCM", "DHE-RSA-AES256-CCM", "ECDHE-ECDSA-ARIA256-GCM-SHA384",
    "ECDHE-ARIA256-GCM-SHA384", "DHE-DSS-ARIA256-GCM-SHA384", "DHE-RSA-ARIA256-GCM-SHA384", "ADH-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "DHE-DSS-AES128-GCM-SHA256",
    "DHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-CCM", "DHE-RSA-AES128-CCM", "ECDHE-ECDSA-ARIA128-GCM-SHA256",
    "ECDHE-ARIA128-GCM-SHA256", "DHE-DSS-ARIA128-GCM-SHA256", "DHE-RSA-ARIA128-GCM-SHA256", "ADH-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-CCM8", "ECDHE-ECDSA-AES128-CCM8", "DHE-RSA-AES256-CCM8", "DHE-RSA-AES128-CCM8",
    "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES256-SHA256", "DHE-DSS-AES256-SHA256",
    "ECDHE-ECDSA-CAMELLIA256-SHA384", "ECDHE-RSA-CAMELLIA256-SHA384", "DHE-RSA-CAMELLIA256-SHA256",
    "DHE-DSS-CAMELLIA256-SHA256", "ADH-AES256-SHA256", "ADH-CAMELLIA256-SHA256", "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-SHA256", "DHE-DSS-AES128-SHA256", "ECDHE-ECDSA-CAMELLIA128-SHA256",
    "ECDHE-RSA-CAMELLIA128-SHA256", "DHE-RSA-CAMELLIA128-SHA256", "DHE-DSS-CAMELLIA128-SHA256", "ADH-AES128-SHA256",
    "ADH-CAMELLIA128-SHA256", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA", "DHE-RSA-AES256-SHA",
    "DHE-DSS-AES256-SHA", "DHE-RSA-CAMELLIA256-SHA", "DHE-DSS-CAMELLIA256-SHA", "AECDH-AES256-SHA", "ADH-AES256-SHA",
    "ADH-CAMELLIA256-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "DHE-RSA-AES128-SHA",
    "DHE-DSS-AES128-SHA", "DHE-RSA-SEED-SHA", "DHE-DSS-SEED-SHA", "DHE-RSA-CAMELLIA128-SHA",
    "DHE-DSS-CAMELLIA128-SHA", "AECDH-AES128-SHA", "ADH-AES128-SHA", "ADH-SEED-SHA", "ADH-CAMELLIA128-SHA",
    "AES256-GCM-SHA384", "AES256-CCM", "ARIA256-GCM-SHA384", "AES128-GCM-SHA256", "AES128-CCM", "ARIA128-GCM-SHA256",
    "AES256-CCM8", "AES128-CCM8", "AES256-SHA256", "CAMELLIA256-SHA256", "AES128-SHA256", "CAMELLIA128-SHA256",
    "AES256-SHA", "CAMELLIA256-SHA", "AES128-SHA", "SEED-SHA", "CAMELLIA128-SHA", "IDEA-CBC-SHA",
    "ECDHE-ECDSA-NULL-SHA", "ECDHE-RSA-NULL-SHA", "AECDH-NULL-SHA", "NULL-SHA256", "NULL-SHA", "NULL-MD5",
)  # fmt: skip
#: Suites of TLS 1.3 (RFC 8446 appendix B.4).
CIPHERSUITES: Final = (
    "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
)  # fmt: skip
#: Groups of the key exchange (RFC 8446 section 4.2.7, RFC 7919, RFC 8734, and the hybrids with ML-KEM).
GROUPS: Final = (
    "X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024", "MLKEM512", "MLKEM768", "MLKEM1024", "X25519", "X448",
    "P-256", "P-384", "P-521", "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192", "brainpoolP256r1",
    "brainpoolP384r1", "brainpoolP512r1", "brainpoolP256r1tls13", "brainpoolP384r1tls13", "brainpoolP512r1tls13",
)  # fmt: skip


def tls_findings(tls: TlsOptions) -> Iterator[Finding]:
    """What is wrong in the block by itself."""
    if tls.min_version > tls.max_version:
        yield ("min_version",), f"min_version {tls.min_version} is above max_version {tls.max_version}"
    if tls.key_file is not None and tls.certificate_file is None:
        yield ("key_file",), "a key without its certificate_file"
    for position, protocol in enumerate(tls.alpn):
        if not 0 < len(protocol.encode()) < 256:
            yield ("alpn", position), "a protocol's name has 1 to 255 bytes (RFC 7301)"
    if tls.staple == "required" and not tls.verify:
        yield ("staple",), "nothing is required where verify is false"
    if tls.ciphers and tls.min_version == "1.3":
        yield ("ciphers",), "never offered from TLS 1.3 on: those are ciphersuites"
    if tls.ciphersuites and tls.max_version < "1.3":
        yield ("ciphersuites",), f"never offered up to TLS {tls.max_version}: those are ciphers"
    yield from _names(tls)


def _names(tls: TlsOptions) -> Iterator[Finding]:
    lists = (("ciphers", tls.ciphers, CIPHERS), ("ciphersuites", tls.ciphersuites, CIPHERSUITES),
             ("groups", tls.groups, GROUPS))  # fmt: skip
    for key, given, known in lists:
        for position, name in enumerate(given):
            if name not in known:
                hint = " (that is one of the ciphersuites)" if key == "ciphers" and name in CIPHERSUITES else ""
                hint = hint or (" (that is one of the ciphers)" if key == "ciphersuites" and name in CIPHERS else "")
                yield (key, position), f"OpenSSL has no such {key[:-1]}{hint or suggest(name, known)}"
