"""One URL makes one cell: the kind by its scheme, or less of it."""

from __future__ import annotations

import pytest

from prober.config.single import cell_for_url
from prober.options import Expect, KindOptions, TlsOptions
from prober.reasons import Family, Kind, Layer


@pytest.mark.parametrize(
    ("url", "kind", "top"),
    [
        ("icmp://example.com", Kind.ICMP, Layer.ICMP),
        ("tcp://example.com:22", Kind.TCP, Layer.TCP),
        ("tls://example.com", Kind.TLS, Layer.TLS),
        ("http://example.com", Kind.HTTP, Layer.HTTP),
        ("https://example.com", Kind.HTTP, Layer.HTTP),
        ("grpc://example.com", Kind.GRPC, Layer.GRPC),
        ("grpcs://example.com", Kind.GRPC, Layer.GRPC),
        ("dns:///example.com", Kind.DNS, Layer.DNS),
    ],
)
def test_the_scheme_says_which_ladder_is_climbed(url: str, kind: Kind, top: Layer) -> None:
    cell = cell_for_url(url, Family.IPV6, timeout=2.5)
    assert (cell.kind, cell.ladder[-1], cell.family, cell.timeout) == (kind, top, Family.IPV6, 2.5)
    assert cell.endpoint.shown == url


def test_a_kind_may_climb_less() -> None:
    assert cell_for_url("https://example.com", Family.IPV4, Kind.TLS).ladder[-1] is Layer.TLS
    assert cell_for_url("https://api.example.com", Family.IPV4, Kind.KUBERNETES).endpoint.resource == "/readyz?verbose"


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("tcp://example.com:1", Kind.HTTP, "can't climb to tcp://"),
        ("dns:///example.com", Kind.ICMP, "names no host"),
        ("https://10.0.0.1", None, "ipv6 can't reach it"),
        ("example.com", None, "not a URL"),
    ],
)
def test_what_can_not_be_climbed_is_a_value_error(url: str, kind: Kind | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cell_for_url(url, Family.IPV6, kind)


def test_a_dns_url_asks_its_own_question() -> None:
    cell = cell_for_url("dns://10.0.0.10/example.com?type=MX&transport=tcp", Family.IPV4)
    dns = cell.options.dns
    assert (dns.type, dns.transport, dns.search, cell.target) == ("MX", "tcp", False, "example.com")
    own = cell_for_url("dns:///web.app", Family.IPV4).options.dns
    assert (own.type, own.transport, own.search) == ("A", "udp", None)


def test_options_and_expectations_are_those_given() -> None:
    options, expect = KindOptions(tls=TlsOptions(verify=False)), Expect(status=(204,))
    cell = cell_for_url("https://example.com", Family.IPV4, options=options, expect=expect)
    assert (cell.options, cell.expect) == (options, expect)
