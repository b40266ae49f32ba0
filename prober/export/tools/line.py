"""The facts of one run in the shapes that command lines want. Pure."""

from __future__ import annotations

from math import ceil

from prober.addresses import is_literal
from prober.export.shell import field_parts, parts_of, quote, secret_parts
from prober.model import Run
from prober.options import BasicAuth, Secret
from prober.reasons import Family, Kind, Reason


class Line:
    """The facts of one run in the shapes that command lines want."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.cell = run.cell
        self.endpoint = run.cell.endpoint
        self.options = run.cell.options
        self.tls = self.endpoint.tls or run.cell.kind is Kind.KUBERNETES
        host, port = self.endpoint.first_hop
        self.hop = (run.address or host, run.port or port)
        """Where the connection went: the proxy, if there is one."""
        self.goal = (self.endpoint.connect or (self.endpoint.host, self.endpoint.port)) if self.proxied else self.hop
        """Where it was to arrive: behind the proxy, if there is one."""

    @property
    def reason(self) -> Reason | None:
        """What the run failed for, None if it did not."""
        return None if self.run.blame is None else self.run.blame.reason

    @property
    def proxied(self) -> bool:
        """The path names a proxy."""
        return self.endpoint.proxy is not None

    def word(self, text: str) -> str:
        """`text` as one shell word, hidden values shown as their variables."""
        return quote(parts_of(text, self.cell.hidden))

    def words(self, *texts: str) -> list[str]:
        """Each of `texts` as `word`."""
        return [self.word(text) for text in texts]

    def field(self, name: str, value: Secret, *, scheme: str = "") -> str:
        """A header or metadata field as one shell word, secrets masked or left to the shell."""
        return quote(field_parts(name, value, self.cell.hidden, scheme=scheme))

    def user(self, basic: BasicAuth) -> str:
        """`username:password` as one shell word, the password masked or left to the shell."""
        return quote(self.user_parts(basic))

    def user_parts(self, basic: BasicAuth) -> list[str]:
        """The same in parts."""
        return [*parts_of(f"{basic.username}:", self.cell.hidden), *secret_parts(basic.password, self.cell.hidden)]

    def seconds(self) -> str:
        """The timeout in whole seconds, at least 1."""
        return str(max(1, ceil(self.cell.timeout)))

    def family(self, address: str) -> list[str]:
        """`-4` or `-6` where `address` is a name and leaves that open."""
        return [] if is_literal(address) else ["-6" if self.cell.family is Family.IPV6 else "-4"]
