"""The closed lists and name rules of a configuration, and how a wrong word is answered. Pure.

A name here becomes a metric label. So no address may be one, and no variable: what comes from the environment is
never exported. A message may hold `{}`: it stands for the value as the file has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from prober.addresses import is_literal
from prober.config.substitute import Filled
from prober.options import PAIR

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_DNS_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
#: RFC 1035 section 2.3.4, with the underscore of RFC 8552; a trailing dot ends the search list.
HOST_NAME = rf"(?=.{{1,254}}$)(?:{_DNS_LABEL}\.)*{_DNS_LABEL}\.?"
LABEL_KEY = r"[a-zA-Z_][a-zA-Z0-9_]*"
#: `namespace/name` of a Service (RFC 1123 and RFC 1035 labels).
SERVICE = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?/[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?"
#: Labels that metrics carry by themselves.
TAKEN_LABELS = frozenset({"probe", "target", "path", "family", "layer", "vantage", "zone", "region"})
#: Types of the IANA registry that a probe can ask for; others as `TYPE65280` (RFC 3597); and the pair.
RECORD_TYPES = (
    "A", "AAAA", "ANY", "CAA", "CDNSKEY", "CDS", "CNAME", "DNAME", "DNSKEY", "DS", "HINFO", "HTTPS", "LOC", "MX",
    "NAPTR", "NS", "NSEC", "NSEC3", "NSEC3PARAM", "OPENPGPKEY", "PTR", "RP", "RRSIG", "SMIMEA", "SOA", "SPF", "SRV",
    "SSHFP", "SVCB", "TLSA", "TXT", "URI", PAIR,
)  # fmt: skip
#: RFC 1035 section 4.1.1, RFC 2136 section 2.2.
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
          "NOTAUTH", "NOTZONE")  # fmt: skip


#: What `re` says without quoting the pattern.
_PLAIN_MESSAGE = re.compile(r"[a-z ,)]+")
#: A list of more words than this is not repeated where one of them is near.
_MANY = 12
VARIABLE_REFUSED = "{} becomes a metric label: variables are refused here"


def suggest(word: object, known: Iterable[str]) -> str:
    """` (did you mean X?)` for the known word nearest to `word`, or nothing."""
    near = get_close_matches(str(word), [str(k) for k in known], n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def one_of(known: Iterable[str], word: object) -> str:
    """`{} is not one of a, b, c`, with the nearest of them where one is near."""
    known = [str(k) for k in known]
    near = suggest(word, known)
    return (
        f"{{}} is not known here{near}"
        if near and len(known) > _MANY
        else f"{{}} is not one of {', '.join(known)}{near}"
    )


def refuse_variable(value: object) -> object:
    """`value`, unless variables were filled into it. ValueError: it becomes a metric label."""
    if isinstance(value, Filled):
        raise ValueError(VARIABLE_REFUSED)
    return value


def check_name(value: str) -> str:
    """`value` as the name of a probe, target, path or server. ValueError where it can be none."""
    if is_literal(value):
        raise ValueError("{} is an address: a name becomes a metric label, and addresses are kept out of those")
    if not re.fullmatch(NAME, value):
        raise ValueError("{} is not a name (letters, digits, dots, dashes and underscores, at most 63)")
    return value


def check_service(value: str) -> str:
    """`value` as `namespace/name` of a Service. ValueError where it is none."""
    if not re.fullmatch(SERVICE, value):
        raise ValueError("{} is not a Service: write namespace/name")
    return value


def check_host_name(value: str) -> str:
    """`value` as a DNS name to ask for. ValueError for addresses and for what no DNS name can look like."""
    if is_literal(value):
        raise ValueError(
            "{} is an address, not a name (for a reverse look-up ask for its in-addr.arpa or ip6.arpa name)"
        )
    if value != "." and not re.fullmatch(HOST_NAME, value):
        raise ValueError("{} is not a DNS name" + ("" if value.isascii() else " (write it as Punycode: xn--…)"))
    return value


def check_type(value: str) -> str:
    """`value` as a DNS record type. ValueError with the nearest known one."""
    if value not in RECORD_TYPES and not re.fullmatch(r"TYPE\d{1,5}", value):
        raise ValueError("{} is not a record type" + suggest(value.upper(), RECORD_TYPES))
    return value


def check_label_key(value: str) -> str:
    """`value` as a label's name of a target. ValueError for what Prometheus refuses and for what is taken."""
    if not re.fullmatch(LABEL_KEY, value) or value.startswith("__"):
        raise ValueError("{} is not a label name (letters, digits and underscores, no digit first)")
    if value in TAKEN_LABELS:
        raise ValueError("the label {} is set by prober itself")
    return value


def check_pattern(text: str, *, of_bytes: bool = False) -> None:
    """ValueError unless `text` is a regular expression; the message quotes nothing of it, which may hold a secret."""
    try:
        re.compile(text.encode() if of_bytes else text)
    except re.error as error:
        why = f": {error.msg}" if _PLAIN_MESSAGE.fullmatch(error.msg) else ""
        raise ValueError(f"not a regular expression{why} (position {error.pos})") from error
