"""The reproducer lines of icmp and tcp: what each option adds to ping and nc. Tables, no I/O."""

from __future__ import annotations

from typing import Any

import pytest

from prober.reasons import Kind
from tests.export.test_reproduce import line


@pytest.mark.parametrize(
    ("tcp", "options"),
    [({"source": "192.0.2.1"}, "-s 192.0.2.1 "), ({"source": "::1"}, ""), ({"dscp": "AF41"}, "-T 0x88 ")],
)
def test_nc_connects_from_the_source_and_with_the_class_of_the_probe(tcp: dict[str, str], options: str) -> None:
    assert line(Kind.TCP, "https", options={"tcp": tcp}) == f"nc -vz {options}-w 2 203.0.113.10 443"


@pytest.mark.parametrize(
    ("tcp", "expected"),
    [
        ({"send": "PING\r\n", "expect": "PONG"}, "printf %b 'PING\\r\\n' | nc -w 2 203.0.113.10 443"),
        ({"send": "it's 100% \\x\x00"}, "printf %b 'it'\"'\"'s 100% \\\\x\\0000' | nc -w 2 203.0.113.10 443"),
        ({"send": {"hex": "00 ff"}}, "printf %b '\\0000\\0377' | nc -w 2 203.0.113.10 443"),
        ({"send": {"file": "/run/pw"}}, 'printf %b "$(cat /run/pw)" | nc -w 2 203.0.113.10 443'),
        ({"expect": "^220"}, "nc -w 2 203.0.113.10 443 </dev/null"),
        ({"dialogue": [{"send": "a\n"}, {"expect": "b"}, {"send": "c\n"}]},
         "printf %b 'a\\nc\\n' | nc -w 2 203.0.113.10 443"),
    ],
)  # fmt: skip
def test_nc_sends_what_the_dialogue_sends(tcp: dict[str, Any], expected: str) -> None:
    assert line(Kind.TCP, "https", options={"tcp": tcp}) == expected


def test_ping_marks_its_packets_as_the_probe_does() -> None:
    marked = {"icmp": {"count": 2, "gap": "10ms", "dont_fragment": True, "ttl": 3, "dscp": "EF"}}
    written = line(Kind.ICMP, "icmp", options=marked)
    assert written == "ping -4 -c 2 -i 0.2 -M do -t 3 -Q 184 -W 2 203.0.113.10"


def test_ping_sends_as_many_and_as_large_echoes_as_the_probe() -> None:
    assert line(Kind.ICMP, "icmp", options={"icmp": {"count": 3, "size": 1400}}).startswith("ping -4 -c 3 -s 1400 ")
