"""The blocks of what reaches an address: `icmp:` and `tcp:`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from prober.options.base import Duration, Options, Whole


class IcmpOptions(Options):
    """`icmp:` one train of echo requests per run."""

    count: Annotated[Whole, Field(ge=1, le=20)] = 1
    """Echo requests in one run; the layer holds if at least one is answered."""
    size: Annotated[Whole, Field(ge=16, le=65507)] = 56
    """Bytes of payload in each echo request."""
    gap: Duration = 0.05
    """Time between two requests of a train."""
