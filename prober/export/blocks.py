"""The sample lines of accounts, kept compressed: a block is rendered anew only where its accounts have changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prober.export import series
from prober.export.accounts import Account, values_of
from prober.export.deflate import EMPTY, Deflater, Part
from prober.export.dialect import Dialect, Template
from prober.export.series import Family, Labels, Shape

#: Accounts in one block. Families with many samples per account are kept account by account; where there are few,
#: blocks of several compress better. Those that seldom change (`up`, for one) are compared by value.
_USUALLY = 64
TOGETHER = {
    series.RUNS.name: 8,
    series.RUN_DURATION.name: 1,
    series.LAYER_RESULTS.name: 1,
    series.LAYER_DURATION.name: 1,
    series.PHASE_DURATION.name: 1,
}
#: Blocks that have not changed are handed on by so many.
_AT_ONCE = 64


class Block:
    """The samples that some accounts have in one family, and of which state of the accounts they are."""

    __slots__ = ("accounts", "part", "values", "version")

    def __init__(self, accounts: Sequence[Account]) -> None:
        self.accounts = accounts
        self.version = -1
        self.values: list[Sequence[float]] | None = None
        self.part: Part = EMPTY


class Blocks:
    """All blocks of the sample lines of one dialect. `keep=False` renders everything each time."""

    def __init__(self, dialect: Dialect, const: Labels, deflater: Deflater, *, keep: bool) -> None:
        self._dialect = dialect
        self._const = const
        self._deflater = deflater
        self._keep = keep
        self._templates: dict[tuple[str, Shape], Template] = {}
        self._lists: dict[str, tuple[Sequence[Account], list[Block]]] = {}

    def parts(self, family: Family, accounts: Sequence[Account]) -> Iterator[list[Part]]:
        """The samples of `accounts` in `family`, as they are when each is asked for, with little work in between."""
        ready: list[Part] = []
        for block in self._blocks(family, accounts):
            version = _version(block.accounts)
            changed = version != block.version
            if changed:
                self._refresh(family, block)
                block.version = version
            ready.append(block.part)
            if changed or len(ready) >= _AT_ONCE:
                yield ready
                ready = []
        yield ready

    def _blocks(self, family: Family, accounts: Sequence[Account]) -> Iterator[Block]:
        """The blocks of the last scrape, or new ones if the accounts are others meanwhile."""
        last = self._lists.get(family.name)
        if last is not None and last[0] is accounts:
            yield from last[1]
            return
        size = TOGETHER.get(family.name, _USUALLY)
        blocks: list[Block] = []
        for start in range(0, len(accounts), size):
            blocks.append(self._block(family, accounts[start : start + size]))
            yield blocks[-1]
        if self._keep:
            self._lists[family.name] = accounts, blocks

    def _block(self, family: Family, accounts: Sequence[Account]) -> Block:
        """A new block, or the one that an account has of its own."""
        if not self._keep or TOGETHER.get(family.name, _USUALLY) > 1:
            return Block(accounts)
        kept: Block = accounts[0].blocks.setdefault(family.name, Block(accounts[0].alone))
        return kept

    def _refresh(self, family: Family, block: Block) -> None:
        of = values_of(family)
        values = [of(account) for account in block.accounts]
        if len(values) > 1:
            if values == block.values:
                return
            block.values = values
        lines = [
            self._template(family, account.shape).fill(account.written, of_account)
            for account, of_account in zip(block.accounts, values, strict=True)
            if of_account
        ]
        block.part = self._deflater.part("".join(lines).encode())

    def _template(self, family: Family, shape: Shape) -> Template:
        template = self._templates.get((family.name, shape))
        if template is None:
            template = self._templates[family.name, shape] = self._dialect.template(family, shape, self._const)
        return template


def _version(accounts: Sequence[Account]) -> int:
    """Moves whenever that of one account does: versions only grow."""
    return accounts[0].version if len(accounts) == 1 else sum([account.version for account in accounts])
