"""The rule tables, one file per part of the ladder; `RULES` is all of them, keyed by layer and reason."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType

from prober.diagnosis.row import Row
from prober.diagnosis.rules import common, dns, grpc, here, http, icmp, lost, reach, tls
from prober.reasons import Layer, Reason


def _by_reason() -> Mapping[tuple[Layer, Reason], tuple[Row, ...]]:
    table: dict[tuple[Layer, Reason], tuple[Row, ...]] = {}
    below = (dns.ROWS, icmp.ROWS, here.ROWS, reach.ROWS, lost.ROWS)
    for row in chain(*below, tls.PROXY, tls.TLS, http.ROWS, grpc.ROWS, common.ROWS):
        key = (row.layer, row.reason)
        table[key] = (*table.get(key, ()), row)
    return MappingProxyType(table)


#: (layer, reason) → its rows, the special ones first, one without a condition last.
RULES = _by_reason()
