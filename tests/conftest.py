"""What all property tests share: the same examples at each run unless others are asked for (`make fuzz`), and no
deadline for one example, since a busy machine is no failure. Every test has its 60 s.
"""

from __future__ import annotations

from hypothesis import settings

from tests.support.fuzz import ASKED

settings.register_profile("prober", deadline=None, derandomize=not ASKED)
settings.load_profile("prober")
