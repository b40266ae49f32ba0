"""The names that `tls:` may list are those that the OpenSSL in use knows, all of them and no others."""

from __future__ import annotations

import pytest
from OpenSSL import SSL

from prober.config.tls_block import CIPHERS, CIPHERSUITES, GROUPS, tls_findings
from prober.options import TlsOptions
from prober.wire.tls.openssl import set_groups


def offered(context: SSL.Context) -> list[str]:
    return SSL.Connection(context, None).get_cipher_list()


def test_the_ciphers_are_those_of_openssl_without_shared_secrets() -> None:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    known = [name for name in offered(context) if not name.startswith("TLS_")]
    assert list(CIPHERS) == [name for name in known if "PSK" not in name and "SRP" not in name]


@pytest.mark.parametrize("name", CIPHERSUITES)
def test_openssl_takes_every_suite_of_tls_1_3(name: str) -> None:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"AES128-SHA:@SECLEVEL=0")
    context.set_tls13_ciphersuites(name.encode())
    assert offered(context)[0] == name


@pytest.mark.parametrize("name", GROUPS)
def test_openssl_takes_every_group(name: str) -> None:
    set_groups(SSL.Context(SSL.TLS_CLIENT_METHOD), name.encode())


def test_openssl_takes_no_group_that_there_is_not() -> None:
    with pytest.raises(SSL.Error):
        set_groups(SSL.Context(SSL.TLS_CLIENT_METHOD), b"P-255")


def test_good_lists_are_not_found_fault_with() -> None:
    tls = TlsOptions(ciphers=CIPHERS, groups=GROUPS, max_version="1.2")
    assert list(tls_findings(tls)) == []
    assert list(tls_findings(TlsOptions(ciphersuites=CIPHERSUITES, min_version="1.3"))) == []
