"""Where a Location leads, and what may come along: pins, proxies, credentials. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from prober.engine.redirects import Astray, redirected
from prober.layers.base import Onward
from prober.model import Cell, Endpoint
from prober.options import BasicAuth
from prober.reasons import Kind
from tests.support.cells import make_cell


def cell(scheme: Any = "http", name: str = "web.app", port: int | None = None, **more: Any) -> Cell:
    return make_cell(Kind.HTTP, scheme, name, port, **more)


PROXY = Endpoint("http", "proxy", 3128, basic=BasicAuth(username="u", password="p"))

PINS: list[tuple[Cell, str, tuple[str, int] | None]] = [
    (cell(), "/x", ("192.0.2.7", 80)),
    (cell(), "http://WEB.app:80/x", ("192.0.2.7", 80)),
    (cell(), "https://web.app/", None),
    (cell(), "//other.app/", None),
    (cell(connect=("192.0.2.1", 80)), "https://web.app/", ("192.0.2.1", 443)),
    (cell(connect=("192.0.2.1", 30080)), "https://web.app/", None),
    (cell(connect=("192.0.2.1", 80)), "https://other.app/", None),
    (cell(proxy=PROXY), "/x", None),
    (cell(proxy=PROXY, connect=("192.0.2.1", 80)), "/x", ("192.0.2.1", 80)),
]


@pytest.mark.parametrize(("base", "location", "pin"), PINS)
def test_a_pin_holds_where_the_host_is_the_same(base: Cell, location: str, pin: tuple[str, int] | None) -> None:
    following = redirected(base, Onward(location, 302), ("192.0.2.7", 80), {})
    assert following.endpoint.connect == pin
    assert following.endpoint.proxy == base.endpoint.proxy


URLS = [
    ("../b?c=1", "http://web.app/a/b?c=1"),
    ("?q", "http://web.app/a/x/y?q"),
    ("//h:81", "http://h:81"),
    ("/sp ace/ü", "http://web.app/sp%20ace/%C3%BC"),
    ("/100%", None),
    ("https://[::1", None),
    ("javascript:alert(1)", None),
    ("", None),
]


@pytest.mark.parametrize(("location", "url"), URLS)
def test_a_location_is_read_as_a_browser_would(location: str, url: str | None) -> None:
    base = cell(resource="/a/x/y")
    if url is None:
        with pytest.raises(Astray):
            redirected(base, Onward(location, 302), ("192.0.2.7", 80), {})
    else:
        assert redirected(base, Onward(location, 302), ("192.0.2.7", 80), {}).endpoint.shown == url


CREDENTIALS = {
    "http": {"basic": {"username": "u", "password": "p"}},
    "tls": {"certificate_file": "/c", "key_file": "/k", "server_name": "sni", "ca_file": "/ca"},
}


def test_client_certificates_and_names_stay_with_their_origin() -> None:
    base = cell("https", options=CREDENTIALS)
    same = redirected(base, Onward("/x", 302), ("192.0.2.7", 443), {}).options
    port = redirected(base, Onward("https://web.app:8443/", 302), ("192.0.2.7", 443), {}).options
    host_ = redirected(base, Onward("https://other/", 302), ("192.0.2.7", 443), {}).options
    assert same.tls == base.options.tls
    assert same.http.basic is not None
    assert (port.tls.certificate_file, port.tls.key_file, port.tls.server_name) == (None, None, "sni")
    assert (host_.tls.certificate_file, host_.tls.server_name, str(host_.tls.ca_file)) == (None, None, "/ca")
    assert (port.http.basic, host_.http.basic) == (None, None)
