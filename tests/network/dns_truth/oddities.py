"""The cases that are no combination: what a name, a search list or a resolv.conf can be beside the usual."""

from __future__ import annotations

from collections.abc import Mapping

from tests.network.dns_truth.case import FOUND, ONCE, QUICK, Case

_KNOWN = {"web.b.": FOUND}
_BROKEN_ROOT = {"old musl": "for the suffix `.` 1.2.3 sends a query with a broken name"}

_BUFFER = {"old musl": "1.2.3 cuts every answer off after 512 bytes"}
_CLOSE = dict.fromkeys(("old musl", "modern musl"), "rounds too close together to be counted on a busy machine")
_DIVIDES = dict.fromkeys(("old musl", "modern musl"), "musl divides by it")

ODDITIES: Mapping[str, Case] = {
    "second suffix": Case("web", says={"web.svc.c.": FOUND}),
    "as it is at last": Case("web", says={"web.": FOUND}),
    "first suffix": Case("web", says={"web.ns.svc.c.": FOUND}),
    "public name found": Case("www.example.com", says={"www.example.com.": FOUND}),
    "enough dots, suffix known": Case("a.example.com", "ndots:2", {"a.example.com.svc.c.": FOUND}),
    "enough dots, no data": Case("a.example.com", "ndots:2", {"a.example.com.": "NOERROR"}),
    "enough dots, no data, suffix known": Case(
        "a.example.com", "ndots:2", {"a.example.com.": "NOERROR", "a.example.com.c.": FOUND}
    ),
    "enough dots, SERVFAIL": Case("a.example.com", f"ndots:1 {QUICK}", {"a.example.com.": "SERVFAIL"}),
    "enough dots, REFUSED": Case("a.example.com", f"ndots:1 {QUICK}", {"a.example.com.": "REFUSED"}),
    "enough dots, silence": Case("a.example.com", f"ndots:1 {ONCE}", {"a.example.com.": "drop"}),
    "no data, then no name": Case("web", says={"web.ns.svc.c.": "NOERROR"}),
    "SERVFAIL, then no name": Case("web", f"ndots:5 {QUICK}", {"web.ns.svc.c.": "SERVFAIL"}),
    "no name, then SERVFAIL": Case("web", f"ndots:5 {QUICK}", {"web.": "SERVFAIL"}),
    "no data, SERVFAIL, no name": Case(
        "web", f"ndots:5 {QUICK}", {"web.ns.svc.c.": "NOERROR", "web.svc.c.": "SERVFAIL"}
    ),
    "SERVFAIL, no data, no name": Case(
        "web", f"ndots:5 {QUICK}", {"web.ns.svc.c.": "SERVFAIL", "web.svc.c.": "NOERROR"}
    ),
    "no name, then silence": Case("web", f"ndots:5 {ONCE}", {"web.c.": "drop"}),
    "two trailing dots": Case("web.."),
    "the root": Case("."),
    "empty label": Case("a..b"),
    "dot before": Case(".web"),
    "label of 63": Case("x" * 63),
    "label of 64": Case("x" * 64),
    "label of 62": Case("x" * 62, search="a"),
    "name of 253": Case(".".join(["a" * 63] * 3 + ["b" * 61]), "ndots:1"),
    "name of 254": Case(".".join(["a" * 63] * 3 + ["b" * 62]), "ndots:1"),
    "name of 253 with its dot": Case(".".join(["a" * 63] * 3 + ["b" * 61]) + "."),
    "fits without suffix": Case(".".join(["a" * 63] * 3 + ["b" * 55]), search="c toolong.example d"),
    "hyphen before": Case("-web", says={"-web.svc.c.": FOUND}),
    "underscore found": Case("_web", says={"_web.svc.c.": FOUND}),
    "asterisk": Case("w*b", says={"w*b.svc.c.": FOUND}),
    "space": Case("w b"),
    "ndots above 15": Case("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", "ndots:20", {"web.": FOUND}),
    "ndots 15 at 14 dots": Case("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o", "ndots:20"),
    "timeout 0": Case("web.", "timeout:0 attempts:1", {"web.": "drop"}),
    "attempts 0": Case("web.", "timeout:1 attempts:0", {"web.": "drop"}, apart=_DIVIDES),
    "attempts 5": Case("web.", "timeout:1 attempts:5", {"web.": "drop"}, apart=_CLOSE),
    "attempts 4": Case("web.", "timeout:1 attempts:4", {"web.": "drop"}),
    "attempts 7": Case("web.", "timeout:1 attempts:7", {"web.": "drop"}, apart=_CLOSE),
    "no-tld-query": Case("web", f"ndots:5 {QUICK} no-tld-query"),
    "no-tld-query, found": Case("web", f"ndots:5 {QUICK} no-tld-query", {"web.": FOUND}),
    "no-tld-query, no search list": Case("web", f"ndots:5 {QUICK} no-tld-query", search=""),
    "no-tld-query, ndots 0": Case("web", f"ndots:0 {QUICK} no-tld-query"),
    "suffix with a dot behind": Case("web", search="a. b", says=_KNOWN),
    "suffix of the root": Case("web", search=". b", says=_KNOWN, apart=_BROKEN_ROOT),
    "suffix of the root, enough dots": Case("web.app", "ndots:1", search=". b"),
    "suffix of the root at last": Case("web", search="b .", apart=_BROKEN_ROOT),
    "suffix with a dot before": Case("web", search=".a b", says=_KNOWN),
    "suffix twice": Case("web", search="a a b", says=_KNOWN),
    "suffix in capitals": Case("web", search="A b", says=_KNOWN),
    "suffix with an empty label": Case("web", search="a..a b", says=_KNOWN),
    "suffix with a label too long": Case("web", search=f"{'x' * 64} b", says=_KNOWN),
    "search line too long": Case("web", search=" ".join(["a" * 60] * 4 + ["bbb", "c"])),
    "search line just fits": Case("web", search=" ".join(["a" * 60] * 4 + ["bb"])),
    "twelve suffixes": Case("web", search=" ".join(f"s{number}" for number in range(12))),
    "tabs": Case("web", conf="nameserver\t{0}\nsearch\ta\tb\noptions\tndots:5\n", says=_KNOWN),
    "many blanks": Case("web", conf="nameserver   {0}  \nsearch   a   b  \noptions   ndots:5  \n", says=_KNOWN),
    "blank before": Case("web", conf=" nameserver 127.0.0.9\nnameserver {0}\n search a\nsearch b\n", says=_KNOWN),
    "comments": Case("web", conf="# a\n; b\nnameserver {0} # c\nsearch a b\noptions ndots:5\n", says=_KNOWN),
    "comment behind search": Case("web", conf="nameserver {0}\nsearch b # c\noptions ndots:5\n", says=_KNOWN),
    "two search lines": Case("web", conf="search a\nnameserver {0}\nsearch b\n", says=_KNOWN),
    "domain, then search": Case("web", conf="domain a\nnameserver {0}\nsearch b\n", says=_KNOWN),
    "search, then domain": Case("web", conf="search a\nnameserver {0}\ndomain b\n", says=_KNOWN),
    "domain alone": Case("web", conf="nameserver {0}\ndomain b\n", says=_KNOWN),
    "domain of two words": Case("web", conf="nameserver {0}\ndomain a b\n", says=_KNOWN),
    "search without words": Case("web", conf="search b\nnameserver {0}\nsearch\n", says=_KNOWN),
    "options on two lines": Case("a.b.web", conf="nameserver {0}\nsearch b\noptions ndots:1\noptions ndots:3\n"),
    "unknown options": Case("web", conf="nameserver {0}\nsearch b\noptions debug foo ndots:x inet6 ndots:2\n"),
    "ndots without number": Case("web", conf="nameserver {0}\nsearch b\noptions ndots: ndots\n"),
    "ndots of letters": Case("web", conf="nameserver {0}\nsearch b\noptions ndots:many\n"),
    "ndots below 0": Case("a.web", conf="nameserver {0}\nsearch b\noptions ndots:-1\n"),
    "ndots with letters behind": Case("a.web", conf="nameserver {0}\nsearch b\noptions ndots:2x\n"),
    "lines of DOS": Case("web", conf="nameserver {0}\r\nsearch b\r\noptions ndots:5\r\n"),
    "no newline at the end": Case("web", conf="nameserver {0}\nsearch b", says=_KNOWN),
    "server that is none": Case("web", conf="nameserver nonsense\nnameserver {0}\nsearch b\n", says=_KNOWN),
    "server in three numbers": Case("web", conf="nameserver 127.1.1\nnameserver {0}\noptions timeout:1 attempts:1\n"),
    "server twice": Case("web.", conf=f"nameserver {{0}}\nnameserver {{0}}\noptions {QUICK}\n", says={"*": "drop"}),
    "upper case keyword": Case("web", conf="nameserver {0}\nSEARCH a\nsearch b\n", says=_KNOWN),
    "domain of the host name": Case("web", conf="nameserver {0}\n", hostname="pod.b", says=_KNOWN),
    "domain of the host name, no data": Case(
        "web", conf="nameserver {0}\n", hostname="pod.b.c", says={"web.": "NOERROR"}
    ),
    "search of a dot alone": Case("web", conf="nameserver {0}\nsearch .\n", hostname="pod.b", apart=_BROKEN_ROOT),
    "rotate, single server": Case("web", f"ndots:5 {QUICK} rotate", {"web.c.": FOUND}),
    "rotate": Case("web", f"ndots:5 {QUICK} rotate", {"web.c.": FOUND}, servers=("v4", "v4", "v4")),
    "rotate, silence": Case("web.", f"{ONCE} rotate", {"*": "drop"}, servers=("v4", "v4", "v4")),
    "rotate, SERVFAIL": Case("web", f"ndots:5 {QUICK} rotate", {"*": "SERVFAIL"}, servers=("v4", "v4")),
    **{
        f"{count} addresses, {'+'.join(types)}": Case(
            "web", f"ndots:5 {QUICK}", {"web.ns.svc.c.": f"many {count}"}, types=types, apart=_BUFFER
        )
        for types, counts in ((("A", "AAAA"), (12, 13, 25, 26)), (("A",), (50, 82, 83)), (("AAAA",), (41, 42)))
        for count in counts
    },
    "localhost": Case("localhost"),
    "below localhost": Case("web.localhost"),
    "number": Case("2130706433"),
    "number in hexadecimal": Case("0x7f000001"),
    "two numbers": Case("127.1"),
    "four numbers": Case("127.0.0.1"),
    "four numbers with a dot": Case("127.0.0.1.", QUICK),
    "five numbers": Case("1.2.3.4.5"),
    "number too large": Case("1.2.3.256"),
    "octal": Case("0177.0.0.1"),
    "IPv6 literal": Case("fd00::1"),
}
