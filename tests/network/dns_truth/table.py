"""The table: every case by its name. Some are written down, the most are combinations of axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.network.dns_truth.case import FOUND, ONCE, QUICK, Case
from tests.network.dns_truth.oddities import ODDITIES

_LONG = "x" * 60
_NAMES: Mapping[str, str] = {
    "single label": "web",
    "Service name": "web.app",
    "full Service name": "web.app.svc.cluster.local",
    "full name with its dot": "web.app.svc.cluster.local.",
    "public name": "www.example.com",
    "deep name": "a.b.c.d.e.f.g",
    "name of 15 dots": "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p",
    "SRV name": "_http._tcp.web.app",
    "underscores": "my_host.app",
    "starts with digits": "1.2.3.4.example",
    "capitals": "WEB.App",
    "long name": ".".join(["a" * 63] * 3 + ["b" * 40]),
}
_SEARCHES: Mapping[str, str] = {
    "no search list": "",
    "a Pod's search list": "ns.svc.c svc.c c",
    "seven suffixes": "a.x b.x c.x d.x e.x f.x g.x",
}


def _names() -> Iterator[tuple[str, Case]]:
    """Which names are asked, in which order: nobody knows any of them."""
    for name, text in _NAMES.items():
        for ndots in (0, 1, 2, 5, 15):
            for search, suffixes in _SEARCHES.items():
                yield f"{name}, ndots {ndots}, {search}", Case(text, f"ndots:{ndots}", search=suffixes)


#: What a server does → what is said of A, and of AAAA.
_FAULTS: Mapping[str, tuple[str, str]] = {
    "answers": (FOUND, FOUND),
    "no data": ("NOERROR", "NOERROR"),
    "no name": ("NXDOMAIN", "NXDOMAIN"),
    "SERVFAIL": ("SERVFAIL", "SERVFAIL"),
    "REFUSED": ("REFUSED", "REFUSED"),
    "FORMERR": ("FORMERR", "FORMERR"),
    "NOTIMP": ("NOTIMP", "NOTIMP"),
    "NOTAUTH": ("NOTAUTH", "NOTAUTH"),
    "silence": ("drop", "drop"),
    "late within": (f"{FOUND} @ 0.6", f"{FOUND} @ 0.6"),
    "late beyond": (f"{FOUND} @ 1.4", f"{FOUND} @ 1.4"),
    "lame": ("lame", "lame"),
    "answers without RA": ("no ra", "no ra"),
    "no name without RA": ("no ra, NXDOMAIN", "no ra, NXDOMAIN"),
    "truncated": ("cut", "cut"),
    "truncated half": ("half", "half"),
    "truncated no name": ("cut, NXDOMAIN", "cut, NXDOMAIN"),
    "truncated SERVFAIL": ("cut, SERVFAIL", "cut, SERVFAIL"),
    "CNAME without target": ("cname", "cname"),
    "CNAME, no name": ("cname, NXDOMAIN", "cname, NXDOMAIN"),
    "CNAME with target": ("chain", "chain"),
    "other owner": ("other owner", "other owner"),
    "SERVFAIL with data": ("SERVFAIL, with data", "SERVFAIL, with data"),
    "wrong id": ("wrong id", "wrong id"),
    "wrong id, then right": (f"wrong id & {FOUND} @ 0.1", f"wrong id & {FOUND} @ 0.1"),
    "wrong question": ("wrong name", "wrong name"),
    "wrong question, then right": (f"wrong name & {FOUND} @ 0.1", f"wrong name & {FOUND} @ 0.1"),
    "wrong type": ("wrong type", "wrong type"),
    "in capitals": ("in capitals", "in capitals"),
    "twice": (f"{FOUND} & {FOUND}", f"{FOUND} & {FOUND}"),
    "FORMERR, header alone": ("FORMERR, header alone", "FORMERR, header alone"),
    "SERVFAIL, header alone": ("SERVFAIL, header alone", "SERVFAIL, header alone"),
    "REFUSED, header alone": ("REFUSED, header alone", "REFUSED, header alone"),
    "NOTIMP, header alone": ("NOTIMP, header alone", "NOTIMP, header alone"),
    "NXDOMAIN, header alone": ("NXDOMAIN, header alone", "NXDOMAIN, header alone"),
    "NOERROR, header alone": ("NOERROR, header alone", "NOERROR, header alone"),
    "short": ("short", "short"),
    "garbage": ("garbage", "garbage"),
    "a query": ("a query", "a query"),
    "fails once": (f"SERVFAIL then {FOUND}", f"SERVFAIL then {FOUND}"),
    "silent once": (f"drop then {FOUND}", f"drop then {FOUND}"),
    "only A": (FOUND, "NOERROR"),
    "only AAAA": ("NOERROR", FOUND),
    "AAAA no name": (FOUND, "NXDOMAIN"),
    "A no name": ("NXDOMAIN", FOUND),
    "AAAA silent": (FOUND, "drop"),
    "A silent": ("drop", FOUND),
    "AAAA silent once": (FOUND, f"drop then {FOUND}"),
    "AAAA late": (FOUND, f"{FOUND} @ 1.4"),
    "A late within": (f"{FOUND} @ 0.6", FOUND),
    "AAAA SERVFAIL": (FOUND, "SERVFAIL"),
    "A SERVFAIL": ("SERVFAIL", FOUND),
    "AAAA REFUSED": (FOUND, "REFUSED"),
    "A REFUSED": ("REFUSED", FOUND),
    "AAAA NOTIMP": (FOUND, "NOTIMP"),
    "AAAA FORMERR": (FOUND, "FORMERR"),
    "A FORMERR": ("FORMERR", FOUND),
    "AAAA lame": (FOUND, "lame"),
    "A lame": ("lame", FOUND),
    "AAAA truncated": (FOUND, "cut"),
    "A truncated": ("cut", FOUND),
    "A truncated, AAAA silent": ("cut", "drop"),
    "A silent, AAAA truncated": ("drop", "cut"),
    "A SERVFAIL, AAAA no data": ("SERVFAIL", "NOERROR"),
    "A no data, AAAA SERVFAIL": ("NOERROR", "SERVFAIL"),
    "A no data, AAAA no name": ("NOERROR", "NXDOMAIN"),
    "A no name, AAAA no data": ("NXDOMAIN", "NOERROR"),
    "A no data, AAAA silent": ("NOERROR", "drop"),
    "A silent, AAAA no data": ("drop", "NOERROR"),
    "A no name, AAAA silent": ("NXDOMAIN", "drop"),
    "A silent, AAAA no name": ("drop", "NXDOMAIN"),
    "A SERVFAIL, AAAA no name": ("SERVFAIL", "NXDOMAIN"),
    "A no name, AAAA SERVFAIL": ("NXDOMAIN", "SERVFAIL"),
    "A SERVFAIL, AAAA silent": ("SERVFAIL", "drop"),
    "A silent, AAAA SERVFAIL": ("drop", "SERVFAIL"),
    "A SERVFAIL, AAAA REFUSED": ("SERVFAIL", "REFUSED"),
    "A no data, AAAA wrong id": ("NOERROR", "wrong id"),
    "A CNAME, AAAA answers": ("cname", FOUND),
}


_TRUSTING = dict.fromkeys(("old musl", "modern musl"), "musl takes whatever has the id; we want the question as well")
#: Where the machine is another on purpose: its docstrings say so.
_APART: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(
        ("other owner", "wrong question", "wrong type", "NXDOMAIN, header alone", "NOERROR, header alone"), _TRUSTING
    ),
    "garbage": {"old musl": "1.2.3 reads on behind the end of the message"},
    "a query": {**_TRUSTING, "glibc": "glibc takes its own question for the answer of a lame server"},
    "FORMERR, header alone": {"glibc": "glibc passes it over as if nobody had answered; we say what was answered"},
}


def _faults() -> Iterator[tuple[str, Case]]:
    """Every fault of a single server: of the name as it is, and of the first name of a search that would go on."""
    for fault, (a, aaaa) in _FAULTS.items():
        apart = _APART.get(fault, {})
        yield f"{fault}, as it is", Case("web.", QUICK, {"web./A": a, "web./AAAA": aaaa}, apart=apart)
        says = {"web.ns.svc.c./A": a, "web.ns.svc.c./AAAA": aaaa, "web.svc.c.": FOUND}
        yield f"{fault}, on a suffix", Case("web", f"ndots:5 {QUICK}", says, apart=apart)
        for kind in ("A", "AAAA") if a == aaaa else ():
            yield f"{fault}, {kind} alone", Case("web", f"ndots:5 {QUICK}", says, types=(kind,), apart=apart)


_OPTIONS = (
    ONCE, "timeout:1 attempts:4", "timeout:2 attempts:1", f"{ONCE} single-request", f"{ONCE} single-request-reopen",
    f"{QUICK} use-vc", f"{ONCE} edns0", f"{ONCE} trust-ad", f"{ONCE} no-aaaa", f"{ONCE} edns0 trust-ad use-vc",
    f"{ONCE} edns0 single-request",
)  # fmt: skip
_UNDER_OPTIONS = (
    "answers", "no name", "SERVFAIL", "FORMERR", "silence", "late beyond", "truncated", "lame", "AAAA silent",
    "A silent", "A SERVFAIL", "AAAA SERVFAIL", "A no data, AAAA silent", "A truncated",
)  # fmt: skip


def _options() -> Iterator[tuple[str, Case]]:
    """The options that change who is asked how, under the faults that make them show."""
    for options in _OPTIONS:
        for fault in _UNDER_OPTIONS:
            a, aaaa = _FAULTS[fault]
            if options == "timeout:2 attempts:1" and fault not in ("silence", "late beyond", "AAAA silent"):
                continue
            yield f"{options}: {fault}", Case("web", f"ndots:1 {options}", {"web./A": a, "web./AAAA": aaaa}, search="c")


#: The servers, and what is said by those that are not in order.
_SERVERS: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "two": (("v4", "v4"), {}),
    "three": (("v4", "v4", "v4"), {}),
    "four": (("v4", "v4", "v4", "v4"), {"*": "drop"}),
    "one of IPv6": (("v6",), {}),
    "IPv4, IPv6": (("v4", "v6"), {}),
    "IPv6, IPv4": (("v6", "v4"), {}),
    "first silent": (("v4", "v4"), {"1 *": "drop"}),
    "first silent of three": (("v4", "v4", "v4"), {"1 *": "drop"}),
    "first two silent of three": (("v4", "v4", "v4"), {"1 *": "drop", "2 *": "drop"}),
    "all silent of two": (("v4", "v4"), {"*": "drop"}),
    "first of IPv6 silent": (("v6", "v4"), {"1 *": "drop"}),
    "first closed": (("v4/closed", "v4"), {}),
    "first of IPv6 closed": (("v6/closed", "v4"), {}),
    "all closed": (("v4/closed", "v4/closed"), {}),
    "one closed": (("v4/closed",), {}),
    "one of IPv6 closed": (("v6/closed",), {}),
    "closed, then silent": (("v4/closed", "v4"), {"*": "drop"}),
    "silent, then closed": (("v4", "v4/closed"), {"*": "drop"}),
    "first unroutable": (("v4/unroutable", "v4"), {}),
    "one unroutable": (("v4/unroutable",), {}),
    "first refuses": (("v4", "v4"), {"1 *": "REFUSED"}),
    "first fails": (("v4", "v4"), {"1 *": "SERVFAIL"}),
    "both fail": (("v4", "v4"), {"*": "SERVFAIL"}),
    "first fails, second refuses": (("v4", "v4"), {"1 *": "SERVFAIL", "2 *": "REFUSED"}),
    "first is lame": (("v4", "v4"), {"1 *": "lame"}),
    "first knows no name": (("v4", "v4"), {"1 *": "NXDOMAIN"}),
    "first has no data": (("v4", "v4"), {"1 *": "NOERROR"}),
    "first does not understand": (("v4", "v4"), {"1 *": "FORMERR"}),
    "first is late": (("v4", "v4"), {"1 *": f"{FOUND} @ 1.3"}),
    "first loses AAAA": (("v4", "v4"), {"1 */AAAA": "drop"}),
    "first loses A": (("v4", "v4"), {"1 */A": "drop"}),
    "first fails A, second AAAA": (("v4", "v4"), {"1 */A": "SERVFAIL", "2 */AAAA": "SERVFAIL"}),
    "first has wrong ids": (("v4", "v4"), {"1 *": "wrong id"}),
    "first sends seven bytes": (("v4", "v4"), {"1 *": "short"}),
    "first truncates": (("v4", "v4"), {"1 *": "cut"}),
    "no TCP": (("v4/no-tcp",), {"*": "cut"}),
    "no TCP, half is there": (("v4/no-tcp",), {"*": "half"}),
    "no TCP, A alone truncated": (("v4/no-tcp",), {"*/A": "cut"}),
    "silent TCP": (("v4/silent-tcp",), {"*": "cut"}),
    "full TCP": (("v4/full-tcp",), {"*": "cut"}),
    "TCP closes": (("v4",), {"udp *": "cut", "tcp *": "close"}),
    "TCP resets": (("v4",), {"udp *": "cut", "tcp *": "reset"}),
    "TCP resets once": (("v4",), {"udp *": "cut", "tcp *": f"reset then {FOUND}"}),
    "TCP fails": (("v4",), {"udp *": "cut", "tcp *": "SERVFAIL"}),
    "TCP knows no name": (("v4",), {"udp *": "cut", "tcp *": "NXDOMAIN"}),
    "TCP has wrong ids": (("v4",), {"udp *": "cut", "tcp *": f"wrong id & {FOUND}"}),
    "TCP closes after A": (("v4", "v4"), {"udp *": "cut", "1 tcp */AAAA": "close"}),
    "TCP loses AAAA": (("v4",), {"udp *": "cut", "tcp */AAAA": "drop"}),
    "no TCP at the first": (("v4/no-tcp", "v4"), {"*": "cut"}),
    "TCP closes at the first": (("v4", "v4"), {"udp *": "cut", "1 tcp *": "close"}),
    "TCP fails at the first": (("v4", "v4"), {"udp *": "cut", "1 tcp *": "SERVFAIL"}),
    "first silent, second truncates": (("v4", "v4"), {"1 *": "drop", "2 *": "cut"}),
}


def _servers() -> Iterator[tuple[str, Case]]:
    """Several servers, and TCP behind truncation: of the name as it is, and of a search."""
    for name, (servers, says) in _SERVERS.items():
        yield f"servers: {name}", Case("web.", QUICK, {"web.": FOUND, **says}, servers)
        for kind in ("A", "AAAA") if "TCP" in name else ("A",):
            yield f"servers: {name}, {kind} alone", Case("web.", QUICK, {"web.": FOUND, **says}, servers, types=(kind,))
        known = {"web.c./A": FOUND, "web.c./AAAA": FOUND, "web.d.": "NXDOMAIN", **says}
        yield f"servers: {name}, searching", Case("web", f"ndots:2 {ONCE}", known, servers, search="d c")
        if "TCP" in name or "silent" in name or "closed" in name:
            own = {"web.": FOUND, **says}
            yield f"servers: {name}, use-vc", Case("web.", f"{QUICK} use-vc", own, servers)
            yield f"servers: {name}, use-vc, A alone", Case("web.", f"{QUICK} use-vc", own, servers, types=("A",))


def _all() -> Iterator[tuple[str, Case]]:
    """Those that wait for long come first, so that the others run beside them."""
    yield from _servers()
    yield from _options()
    yield from _faults()
    yield from ODDITIES.items()
    yield from _names()


CASES: Mapping[str, Case] = dict(_all())
