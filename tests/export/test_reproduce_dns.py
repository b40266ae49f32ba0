"""The dig line of a dns probe: its own question, over its own transport."""

from __future__ import annotations

from typing import Any

import pytest

from prober.reasons import Family, Kind, Layer
from tests.export.test_reproduce import line

DNS = {"host": "10.96.0.10", "resource": "web.app"}

DNS6 = DNS | {"host": "2001:db8::53", "port": 1053, "family": Family.IPV6}


@pytest.mark.parametrize(
    ("options", "cell", "expected"),
    [
        ({}, DNS, "dig -4 @10.96.0.10 web.app A"),
        ({"dns": {"type": "AAAA", "transport": "tcp"}}, DNS, "dig -4 @10.96.0.10 web.app AAAA +tcp"),
        ({"dns": {"recursion_desired": False}}, DNS, "dig -4 @10.96.0.10 web.app A +norecurse"),
        ({"dns": {"search": True}, "resolver": {"ndots": 5}}, DNS, "dig -4 @10.96.0.10 web.app A +search +ndots=5"),
        ({"dns": {"edns_size": 1400, "nsid": True, "dnssec": True}}, DNS,
         "dig -4 @10.96.0.10 web.app A +bufsize=1400 +nsid +dnssec"),
        ({"dns": {"transport": "tls"}}, DNS | {"port": 853}, "dig -4 @10.96.0.10 web.app A +tls +tls-ca"),
        ({"dns": {"transport": "tls"}, "tls": {"verify": False}}, DNS | {"port": 8853},
         "dig -4 @10.96.0.10 -p 8853 web.app A +tls"),
        ({"dns": {"transport": "https"}, "tls": {"server_name": "dns.example", "ca_file": "/ca.pem"}},
         DNS | {"port": 443},
         "dig -4 @10.96.0.10 web.app A +https=/dns-query +tls-ca=/ca.pem +tls-hostname=dns.example"),
        ({"dns": {"transport": "https", "method": "GET", "path": "/q"}, "tls": {"verify": False}}, DNS6,
         "dig -6 @2001:db8::53 -p 1053 web.app A +https-get=/q"),
        ({}, DNS | {"port": 1053}, "dig -4 @10.96.0.10 -p 1053 web.app A"),
        ({}, DNS6, "dig -6 @2001:db8::53 -p 1053 web.app A"),
        ({}, DNS | {"host": ""}, "dig -4 web.app A +search"),
        ({}, DNS | {"host": "", "resource": "web.app."}, "dig -4 web.app. A"),
        ({"resolver": {"search": ["x.local"]}}, DNS | {"host": ""}, "dig -4 web.app A +domain=x.local"),
    ],
)  # fmt: skip
def test_a_dns_probe_is_shown_with_its_own_question(options: Any, cell: Any, expected: str) -> None:
    assert line(Kind.DNS, "dns", options=options, **cell) == expected
    assert line(Kind.DNS, "dns", Layer.DNS, options=options, **cell) == expected
