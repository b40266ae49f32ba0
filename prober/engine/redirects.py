"""Redirects: the cell of the climb that an answer sends us on to, and what a chain of such climbs is worth. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, urljoin

from prober.addresses import literal_family
from prober.config.address import parse_url
from prober.layers.base import Onward
from prober.model import Cell, Endpoint, Evidence, Outcome, Run
from prober.options import HttpOptions, KindOptions, SecretFile
from prober.reasons import OURS, Layer, Reason, Result
from prober.redact import redact, redact_text

#: Characters of a URL that are shown.
_SHOWN: Final = 200
#: What a URL may hold as it is (RFC 3986 section 2); the rest is percent-encoded.
_SAFE: Final = "!#$%&'()*+,/:;=?@[]~"
#: Fields that say who we are, or to whom a request is addressed: they go to the first URL's origin alone.
_OF_ORIGIN: Final = frozenset({"authorization", "cookie", "host", "proxy-authorization"})
#: Fields about a body: they go with it.
_OF_BODY: Final = "content-"


class Astray(Exception):
    """A redirect that leads nowhere; the text says why."""


@dataclass(slots=True)
class Chain:
    """The climbs of one run: that of its own URL, and those that answers led to."""

    cell: Cell
    hops: list[Run] = field(default_factory=list)
    astray: str | None = None
    """Why the last answer's redirect could not be followed."""
    downgraded: int | None = None
    """The first hop that left https for http."""
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def next(self, onward: Onward, reached: tuple[str, int], hidden: Mapping[str, str]) -> Cell | None:
        """The cell to climb next; None where the redirect leads nowhere: `astray` then says why.

        `reached` is the address and port that answered, `hidden` what must not be shown.
        """
        cell = self.hops[-1].cell if self.hops else self.cell
        self._seen.add((cell.options.http.method, _url(cell.endpoint)))
        try:
            following = redirected(cell, onward, reached, hidden)
            if len(self.hops) >= self.cell.options.http.follow:
                raise Astray(f"more than {self.cell.options.http.follow} redirects")
            if (following.options.http.method, _url(following.endpoint)) in self._seen:
                raise Astray(f"a loop: back to {following.endpoint.shown}")
        except Astray as astray:
            self.astray = str(astray)
            return None
        if cell.endpoint.tls and not following.endpoint.tls and self.downgraded is None:
            self.downgraded = len(self.hops) + 1
        return following

    def judged(self, first: Outcome) -> Outcome:
        """The http outcome of the first climb, as the whole chain makes it."""
        evidence: Evidence = {**first.evidence, "redirects": len(self.hops)}
        if self.downgraded is not None:
            evidence["downgraded"] = self.downgraded
        reason = Reason.REDIRECT
        if self.hops:
            last = self.hops[-1]
            evidence |= _arrival(last)
            if last.blame is not None:
                where = f"redirect {len(self.hops)}, {last.cell.endpoint.shown}"
                evidence["hop"] = len(self.hops)
                evidence |= {"hop_layer": last.blame.layer.value, "hop_reason": last.blame.reason.value}
                evidence["detail"] = f"{where}: {last.blame.layer} {last.blame.reason}"
                own = last.blame.layer is Layer.HTTP or last.blame.reason in OURS
                reason = last.blame.reason if own else reason
        if self.astray is not None:
            evidence |= {"detail": self.astray, "astray": True}
        elif "hop" not in evidence:
            return replace(first, evidence=evidence)
        return replace(first, result=Result.FAILED, reason=reason, evidence=redact(evidence, self.cell.hidden))


def _arrival(run: Run) -> Evidence:
    """Where a chain ended."""
    answer = run.outcome(Layer.HTTP)
    status = None if answer is None else answer.evidence.get("status")
    return {"final_url": run.cell.endpoint.shown} | ({} if status is None else {"final_status": status})


def redirected(cell: Cell, onward: Onward, reached: tuple[str, int], hidden: Mapping[str, str]) -> Cell:
    """The cell that `onward` leads to from `cell`. Raises Astray where it leads nowhere.

    The same probe in the same family; of its credentials, pins and names only what the other URL's origin (RFC 9110
    section 4.3.1) may have.
    """
    endpoint = _endpoint(cell.endpoint, onward.location, hidden)
    if literal_family(endpoint.host) not in (None, cell.family):
        raise Astray(f"to {endpoint.shown}, an address that {cell.family} can't reach")
    same_origin = _origin(endpoint) == _origin(cell.endpoint)
    endpoint = replace(endpoint, proxy=cell.endpoint.proxy, connect=_pin(cell.endpoint, endpoint, reached, same_origin))
    options = cell.options.model_copy(
        update={"http": _request(cell.options.http, onward.status, same_origin=same_origin)}
    )
    if not same_origin:
        options = _of_nobody(options, same_host=endpoint.host.lower() == cell.endpoint.host.lower())
    expect = cell.expect.model_copy(update={"failed": None, "reason": ()})
    return replace(cell, endpoint=endpoint, options=options, expect=expect, budget={}, quantile_budget={})


def _endpoint(base: Endpoint, location: str, hidden: Mapping[str, str]) -> Endpoint:
    """The URL that `location` means at `base` (RFC 9110 section 10.2.2)."""
    if not location:
        raise Astray("a redirect without Location")
    shown = redact_text(location, hidden)[:_SHOWN]
    shown = "".join(character if character.isprintable() else "?" for character in shown)
    try:
        target = urljoin(_url(base), quote(location.partition("#")[0], safe=_SAFE))
        if target.partition(":")[0].lower() not in ("http", "https"):
            raise Astray(f"to {shown}, which is no http(s) URL")
        return parse_url(target, redact_text(target, hidden)[:_SHOWN])
    except ValueError as error:
        raise Astray(f"Location {shown} is no URL: {error}") from None


def _url(endpoint: Endpoint) -> str:
    return f"{endpoint.scheme}://{endpoint.authority}{endpoint.resource or '/'}"


def _origin(endpoint: Endpoint) -> tuple[str, str, int]:
    return endpoint.scheme, endpoint.host.lower(), endpoint.port


def _pin(
    base: Endpoint, endpoint: Endpoint, reached: tuple[str, int], same_origin: bool
) -> tuple[str, int] | None:  # fmt: skip
    """Where the connection goes if not to the URL's own host: the same origin is asked at the same address again, and a
    pin that changes the host alone holds for the host's other ports."""
    if same_origin:
        return base.connect if base.proxy is not None else reached
    if base.connect is not None and base.host.lower() == endpoint.host.lower() and base.connect[1] == base.port:
        return base.connect[0], endpoint.port
    return None


def _request(http: HttpOptions, status: int, *, same_origin: bool) -> HttpOptions:
    """The request of the next hop: as RFC 9110 section 15.4 has it, a POST becomes a GET but for 307 and 308."""
    gone = (
        set()
        if same_origin
        else {n for n, v in http.headers.items() if n.lower() in _OF_ORIGIN or isinstance(v, SecretFile)}
    )
    update: dict[str, object] = {} if same_origin else {"bearer": None, "basic": None}
    method = http.method
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        update |= {"method": "GET", "body": None}
        gone |= {name for name in http.headers if name.lower().startswith(_OF_BODY)}
    return http.model_copy(
        update={**update, "headers": {name: value for name, value in http.headers.items() if name not in gone}}
    )


def _of_nobody(options: KindOptions, *, same_host: bool) -> KindOptions:
    """`options` without the client certificate, and without the name of another host."""
    tls = options.tls.model_copy(
        update={"certificate_file": None, "key_file": None, **({} if same_host else {"server_name": None})}
    )
    return options.model_copy(update={"tls": tls})
