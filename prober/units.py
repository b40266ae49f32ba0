"""Quantities as people read them. Pure, and imported from anywhere."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """An aware time in UTC as RFC 3339 section 5.6 writes it, to the microsecond: `2026-11-22T10:00:00.123456Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def rfc3339_at(seconds: float) -> str:
    """The same of Unix seconds."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


def human_seconds(seconds: float) -> str:
    """`17 µs`, `310 µs`, `1.1 ms`, `31.2 ms`, `420 ms`, `3.00 s`, `75 s`: three digits are enough to compare."""
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.09995:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.0f} s"


def human_share(share: float) -> str:
    """A share of a whole: `0 %`, `0.02 %`, `2.9 %`, `3 %`, `12 %`."""
    return f"{human_number(100 * share)} %"


def human_number(value: float) -> str:
    """`18`, `3.1`, `3`, `0.4`, `0.12`, `0.003`: two digits are enough to compare."""
    size = abs(value)
    if size >= 9.95 or value == 0:
        return f"{value:.0f}"
    if size >= 0.95:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.2f}".rstrip("0") if size >= 0.005 else f"{value:.1g}"


def human_change(ratio: float) -> str:
    """What a ratio changes: `+18 %`, `+3.4 %`, `-12 %`, `0 %`; from three times on `× 3.2`."""
    if ratio >= 2.995:
        return f"× {ratio:.1f}" if ratio < 9.95 else f"× {ratio:.0f}"
    percent = 100 * (ratio - 1)
    text = f"{percent:+.0f}" if abs(percent) >= 9.95 else f"{percent:+.1f}"
    return "0 %" if float(text) == 0 else f"{text} %"


def human_bytes(count: int) -> str:
    """`512 B`, `1.2 kB`, `3.4 MB` (SI, powers of ten)."""
    if count < 1000:
        return f"{count} B"
    if count < 1_000_000:
        return f"{count / 1000:.1f} kB"
    return f"{count / 1_000_000:.1f} MB"


def human_span(seconds: float) -> str:
    """A span in the largest unit that fits: `45 s`, `12 min`, `5 h`, `63 days`."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def human_moment(seconds: float, now: float) -> str:
    """A moment (Unix seconds) as it is told at `now`: `14:20` of the same day, else `2026-11-26 14:20`. UTC."""
    then, today = (datetime.fromtimestamp(moment, UTC) for moment in (seconds, now))
    return f"{then:%H:%M}" if then.date() == today.date() else f"{then:%Y-%m-%d %H:%M}"


def host_port(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
