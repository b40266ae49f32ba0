"""The garbage collector, kept from stopping the loop. Process-wide: for the service, which has a process of its own.

A full collection walks every object alive: with 10,000 cells and their remembered runs it held the loop for 0.2 to
0.3 s, once in five seconds, to find next to nothing, since what a run leaves behind goes by reference counts. So what
lives as long as the configuration is taken out of the collector's sight (`gc.freeze`), and full collections are made
rare.
"""

from __future__ import annotations

import gc

#: Allocations until a young collection, young ones until a middle one, middle ones until a full one. At 1,000 runs/s
#: that is one full collection in some minutes.
_THRESHOLDS = (1000, 10, 500)
_USUAL = gc.get_threshold()


def settle() -> None:
    """To be called when a configuration has come into force: everything alive now is there to stay."""
    gc.set_threshold(*_THRESHOLDS)
    gc.freeze()


def unsettle() -> None:
    """Give the collector back its usual sight and pace."""
    gc.unfreeze()
    gc.set_threshold(*_USUAL)
