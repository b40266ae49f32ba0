"""One URL without a configuration: the cell that `prober try` climbs."""

from __future__ import annotations

from dataclasses import replace

from prober.addresses import literal_family
from prober.config.address import parse_question, parse_url
from prober.config.kinds import BY_SCHEME, refuse_scheme
from prober.model import Cell
from prober.options import Expect, KindOptions
from prober.reasons import Family, Kind

#: Labels of such a cell: it is shown, never exported.
PROBE, PATH = "try", "url"


def cell_for_url(
    url: str,
    family: Family,
    kind: Kind | None = None,
    timeout: float = 3.0,
    *,
    options: KindOptions | None = None,
    expect: Expect | None = None,
) -> Cell:
    """The cell that climbs to `url` in `family` within `timeout` seconds.

    `kind` is what the scheme offers in full, unless it is given. ValueError with a clear message where the URL is
    none, the kind can't climb to it, or its host is an address of the other family.
    """
    endpoint = parse_url(url)
    kind = BY_SCHEME[endpoint.scheme] if kind is None else kind
    refuse_scheme(kind, endpoint)
    if (own := literal_family(endpoint.host)) not in (None, family):
        raise ValueError(f"{endpoint.host} is an {own} address: {family} can't reach it")
    options = KindOptions() if options is None else options
    if kind is Kind.DNS:
        asked = parse_question(url)
        given = {"type": asked.type, "transport": asked.transport, "search": False if endpoint.host else None}
        update = {key: value for key, value in given.items() if value is not None}
        options = options.model_copy(update={"dns": options.dns.model_copy(update=update)})
    elif kind is Kind.KUBERNETES and endpoint.resource == "/":
        endpoint = replace(endpoint, resource=options.kubernetes.resource)
    target = endpoint.resource if kind is Kind.DNS else endpoint.host
    return Cell(PROBE, kind, target, PATH, family, endpoint, timeout, timeout, options, expect or Expect())
