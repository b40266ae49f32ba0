"""Secrets on their way into a request: revealed as late as can be, and hidden from people from then on."""

from __future__ import annotations

from base64 import b64encode

from prober.layers.base import Ascent, Failed
from prober.options import BasicAuth, Secret, SecretFile, reveal
from prober.reasons import Reason


def bearer(ascent: Ascent, token: str, where: str) -> str:
    """The value of `authorization` for a token (RFC 6750); people will see `where` in its place."""
    return f"Bearer {hide(ascent, token, where)}"


def basic(ascent: Ascent, pair: BasicAuth) -> str:
    """The value of `authorization` or `proxy-authorization` (RFC 7617). The encoded
    pair is as secret as the password in it."""
    where = stands_for(pair.password)
    password = hide(ascent, revealed(pair.password), where)
    encoded = b64encode(f"{pair.username}:{password}".encode()).decode("ascii")
    return f"Basic {hide(ascent, encoded, f'base64({pair.username}:{where})')}"


def stands_for(secret: Secret) -> str:
    """What people see in the place of `secret`."""
    return str(secret) if isinstance(secret, SecretFile) else "[secret]"


def hide(ascent: Ascent, value: str, where: str) -> str:
    """Hide `value`; one that came through `${VAR}` is hidden already, under its better name."""
    return value if value in ascent.hidden else ascent.hide(value, where)


def revealed(secret: Secret) -> str:
    """The text of `secret`. Raises Failed where its file cannot be read: that is our own fault."""
    try:
        return reveal(secret)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise Failed(Reason.INTERNAL, f"cannot read the secret {secret}: {why}") from error
