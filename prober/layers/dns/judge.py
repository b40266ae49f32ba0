"""What an answer is worth: held against `expect:` of a dns probe. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from prober.layers.base import Failed
from prober.model import Cell
from prober.options import Expect
from prober.reasons import Reason
from prober.wire.dns.message import Step, same_records
from prober.wire.dns.resolver import Lookup


def detail_of(step: Step | None) -> str:
    """What is to be said of a step that did not hold: extended errors (RFC 8914) are the server's own word for why."""
    if step is None:
        return "not a domain name"
    errors = "; ".join(map(str, step.edns.errors)) if step.edns is not None else ""
    return step.detail or errors


def answers_of(lookup: Lookup) -> tuple[str, ...]:
    """The data of all types that were answered."""
    return tuple(answer for step in lookup.steps if step.reason is None for answer in step.answers)


def _as_asked(expect: Expect, lookup: Lookup, step: Step) -> bool:
    """The data is the set that is expected; of a pair, of each type those that are of it."""
    if len(lookup.steps) == 1:
        return same_records(step.query.type, expect.answers, step.answers)
    got = {each.query.type: each.answers for each in lookup.steps}
    wanted = {kind: [text for text in expect.answers if (":" in text) == (kind == "AAAA")] for kind in got}
    return all(same_records(kind, wanted[kind], answers) for kind, answers in got.items())


def as_expected(cell: Cell, lookup: Lookup) -> None:
    """Failed unless the probe's expectation holds; without one, unless data came."""
    expect, step = cell.expect, lookup.decisive
    if step is None or step.rcode is None or step.reason in (Reason.TRUNCATED, Reason.MALFORMED):
        raise Failed(lookup.reason or Reason.MALFORMED, detail_of(step))
    if expect.rcode is not None and step.rcode != expect.rcode:
        raise Failed(step.reason or Reason.WRONG_ANSWER, f"rcode {step.rcode}, expected {expect.rcode}")
    if expect.rcode is None and step.reason is not None:
        raise Failed(step.reason, detail_of(step))
    if expect.answers and not _as_asked(expect, lookup, step):
        raise Failed(Reason.WRONG_ANSWER, f"expected {', '.join(expect.answers)}")
    if expect.model_fields_set:
        of_all = step._replace(answers=answers_of(lookup)) if len(lookup.steps) > 1 else step
        complaint = next(_complaints(expect, of_all), None)
        if complaint is not None:
            raise Failed(Reason.WRONG_ANSWER, complaint)


def _complaints(expect: Expect, step: Step) -> Iterator[str]:
    """What an answer with the expected code and data still does not have."""
    if expect.answers_within:
        networks = [ipaddress.ip_network(text) for text in expect.answers_within]
        strange = [answer for answer in step.answers if not _within(answer, networks)]
        if strange:
            yield f"{', '.join(strange[:4])} not within {', '.join(expect.answers_within)}"
    if expect.ttl_min is not None and step.ttl is not None and step.ttl < expect.ttl_min:
        yield f"a TTL of {step.ttl} s, expected at least {expect.ttl_min} s"
    if expect.ttl_max is not None and step.ttl is not None and step.ttl > expect.ttl_max:
        yield f"a TTL of {step.ttl} s, expected at most {expect.ttl_max} s"
    if expect.authenticated and "ad" not in step.flags:
        yield "not authenticated: the answer has no AD flag (RFC 4035 section 3.2.3)"


def _within(answer: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        address = ipaddress.ip_address(answer)
    except ValueError:
        return False
    return any(address in network for network in networks)
