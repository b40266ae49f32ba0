"""URLs, host:port and DNS servers: what each part becomes, and what is said against the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prober.addresses import literal_family, parse_server
from prober.config.address import (
    SCHEMES,
    parse_connect,
    parse_proxy,
    parse_question,
    parse_url,
)
from prober.reasons import Family

GOOD: dict[str, tuple[str, str, int, str]] = {
    "icmp://example.com": ("icmp", "example.com", 0, ""),
    "icmp://[2001:DB8::1]": ("icmp", "2001:db8::1", 0, ""),
    "tcp://db.app.svc:5432": ("tcp", "db.app.svc", 5432, ""),
    "tcp://10.0.0.1:1/": ("tcp", "10.0.0.1", 1, ""),
    "tls://mail.example.com": ("tls", "mail.example.com", 443, ""),
    "http://web": ("http", "web", 80, "/"),
    "http://web:8080?x=1": ("http", "web", 8080, "/?x=1"),
    "HTTPS://Web.Example.com/Health": ("https", "Web.Example.com", 443, "/Health"),
    "https://web.example.com.:8443/a//b/../c?q=a%20b&r=[1]": (
        "https", "web.example.com.", 8443, "/a//b/../c?q=a%20b&r=[1]"),
    "https://[2001:db8:0:0::1]:8443": ("https", "2001:db8::1", 8443, "/"),
    "https://my_app.svc": ("https", "my_app.svc", 443, "/"),
    "grpc://pay.svc": ("grpc", "pay.svc", 80, ""),
    "grpcs://pay.svc:50051": ("grpcs", "pay.svc", 50051, ""),
    "dns:///example.com": ("dns", "", 53, "example.com"),
    "dns://10.0.0.10/example.com.?type=aaaa": ("dns", "10.0.0.10", 53, "example.com."),
    "dns://[2001:db8::a]:5353/_sip._udp.example.com?type=SRV;transport=tcp": (
        "dns", "2001:db8::a", 5353, "_sip._udp.example.com"),
    "dns://10.0.0.10/.?type=NS": ("dns", "10.0.0.10", 53, "."),
}  # fmt: skip

BAD: dict[str, str] = {
    "": "not a URL",
    "web.svc": "not a URL",
    "//web.svc": "not a URL",
    "https:/web.svc": "not a URL",
    "https://": "no host",
    "https://:443": "the host is missing",
    "htpps://x": r"unknown scheme \(did you mean https\?\)",
    "gopher://x": "unknown scheme",
    "https://x\ny": "no spaces or control",
    "https://x y": "no spaces or control",
    "https://u@x": "user names and passwords",
    "https://u:p@x": "user names and passwords",
    "https://x#y": "fragment",
    "https://x/%zz": "percent-encoded",
    "https://x/%": "percent-encoded",
    'https://x/"': "percent-encoded",
    "https://x/é": "ASCII",
    "https://exämple.com": "Punycode",
    "https://-x": "not a host name",
    "https://x..y": "not a host name",
    "https://" + "a" * 64 + ".com": "not a host name",
    "https://1.2.3": "not an IPv4 address",
    "https://1.2.3.999": "not an IPv4 address",
    "https://01.2.3.4": "not an IPv4 address",
    "https://2001:db8::1": "in brackets",
    "https://[2001:db8::1": "brackets",
    "https://[2001:db8::1]x": "brackets",
    "https://[example.com]": "not an IPv6 address",
    "https://[fe80::1%eth0]": "zone",
    "https://[::ffff:1.2.3.4]": "IPv4-mapped",
    "https://x:": "number from 1 to 65535",
    "https://x:0": "number from 1 to 65535",
    "https://x:65536": "number from 1 to 65535",
    "https://x:٣": "number from 1 to 65535",
    "https://x:+1": "number from 1 to 65535",
    "tcp://x": "needs a port",
    "tcp://x:1/y": "takes no path",
    "icmp://x:1": "no ports",
    "grpc://x/y": "takes no path",
    "dns://10.0.0.10": "needs the name",
    "dns://10.0.0.10/": "needs the name",
    "dns://ns.example.com/x": "a DNS server is an address",
    "dns://10.0.0.10/10.0.0.1": "is an address, not a name",
    "dns://10.0.0.10/a/b": "not a DNS name",
    "dns://10.0.0.10/x?type=AAAAA": r"did you mean AAAA\?",
    "dns://10.0.0.10/x?transport=quic": "transport=udp, tcp, tls or https",
    "dns://10.0.0.10/x?nonsense": "transport=udp, tcp, tls or https",
}


@pytest.mark.parametrize("url", GOOD)
def test_a_url_becomes_an_endpoint(url: str) -> None:
    endpoint = parse_url(url)
    assert GOOD[url] == (endpoint.scheme, endpoint.host, endpoint.port, endpoint.resource)
    assert endpoint.shown == url


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_url_is_refused_with_a_message_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(ValueError, match=BAD[url]) as caught:
        parse_url(url)
    assert not url or url not in str(caught.value)


def test_what_is_shown_can_be_told() -> None:
    assert parse_url("https://secret.example.com/", "https://${HOST}/").shown == "https://${HOST}/"


@given(st.text())
def test_any_text_is_an_endpoint_or_a_value_error(text: str) -> None:
    for prefix in ("", *(f"{scheme}://" for scheme in SCHEMES)):
        try:
            endpoint = parse_url(prefix + text)
        except ValueError:
            continue
        assert 0 <= endpoint.port < 65536


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_address_is_a_host_in_its_family(address: Any, port: int) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    if address.version == 6 and address.ipv4_mapped is not None:
        return
    endpoint = parse_url(f"tcp://{host}:{port}")
    assert (endpoint.host, endpoint.port) == (str(address), port)
    assert literal_family(endpoint.host) is (Family.IPV4 if address.version == 4 else Family.IPV6)


def test_a_question_says_what_it_leaves_open() -> None:
    assert parse_question("dns:///x") == (None, None)
    assert parse_question("dns:///x?type=mx") == ("MX", None)
    assert parse_question("dns:///x?transport=tcp&TYPE=type65280") == ("TYPE65280", "tcp")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("203.0.113.10:443", ("203.0.113.10", 443)), ("[2001:db8::1]:1", ("2001:db8::1", 1)), ("lb.x:80", ("lb.x", 80))],
)
def test_a_pin_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert expected == parse_connect(text)


@pytest.mark.parametrize("text", ["203.0.113.10", "[2001:db8::1]", "2001:db8::1:443", "", ":443", "https://x:443"])
def test_a_pin_without_one_of_them_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"port|brackets|missing"):
        parse_connect(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1", 53)),
        ("10.0.0.1:5353", ("10.0.0.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
    ],
)
def test_a_server_is_an_address_with_or_without_a_port(text: str, expected: tuple[str, int]) -> None:
    assert expected == parse_server(text)


@pytest.mark.parametrize("text", ["coredns", "coredns:53", "", "10.0.0.1:", "10.0.0.1:dns"])
def test_a_server_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|port|host"):
        parse_server(text)


def test_a_proxy_is_plain_http_without_a_path() -> None:
    assert parse_proxy("http://proxy.app.svc:3128").port == 3128
    for text in ("https://proxy:3128", "http://proxy:3128/x", "socks5://proxy:1080", "proxy:3128"):
        with pytest.raises(ValueError, match=r"http://host:port|scheme|not a URL"):
            parse_proxy(text)
