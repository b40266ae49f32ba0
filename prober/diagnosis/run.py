"""From one failed run to its verdict: which rule holds, and what the layers below have proved. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.diagnosis.rules import RULES
from prober.model import Blame, Cell, Outcome, Run, Verdict
from prober.reasons import Family, Kind, Layer, Reason, Result
from prober.redact import redact_text
from prober.units import human_seconds


def explain(run: Run) -> Verdict | None:
    """What `run` says to whoever is on call; None if it is ok. Never raises for a run of `prober.engine.climb`.

    Its sentences name hosts and paths as they are configured: what came from the environment is hidden in them.
    """
    if run.ok:
        return None
    blame = run.blame
    if blame is None:
        return _missed(run)
    facts = Facts(run, blame.layer)
    if (hop := facts.evidence.get("hop")) and (onward := explain(run.hops[hop - 1])) is not None:
        return _of_hop(run, blame, hop, onward)
    row = _row(blame, facts)
    says = row.says.format_map(facts)
    if run.cell.expect.failed is not None and blame.reason is not Reason.UNEXPECTED_SUCCESS and not run.ours:
        says += f" This probe expects {facts['expected']}."
    ruled_out = (*_proved_below(run, blame.layer), *([_proved(row, facts)] if row.proves else []))
    return hidden(
        Verdict(row.code, blame.layer, blame.reason, says, ruled_out, row.next_check.format_map(facts)), run.cell
    )


def _proved(row: Row, facts: Facts) -> str:
    """What `row` proves, as a sentence. A name or address that it begins with stays as it is."""
    proves = row.proves.format_map(facts)
    return f"{proves if row.proves.startswith('{') else proves[0].upper() + proves[1:]}."


def _of_hop(run: Run, blame: Blame, hop: int, onward: Verdict) -> Verdict:
    """The verdict of a run whose redirect number `hop` led to a failure: that climb's own, and how one gets there."""
    led = run.hops[hop - 1]
    layer = led.blame.layer if led.blame is not None else blame.layer
    says = f"Redirect {hop} leads to {led.cell.endpoint.shown}, where {layer} fails. {onward.says}"
    below = (*_proved_below(run, blame.layer), *(f"Behind the redirect: {text}" for text in onward.ruled_out))
    return hidden(replace(onward, layer=blame.layer, reason=blame.reason, says=says, ruled_out=below), run.cell)


def hidden(verdict: Verdict, cell: Cell) -> Verdict:
    """`verdict` with `cell`'s hidden values shown as what they came from."""
    if not cell.hidden:
        return verdict
    says, next_check, *ruled_out = (
        redact_text(text, cell.hidden) for text in (verdict.says, verdict.next_check, *verdict.ruled_out)
    )
    return replace(verdict, says=says, next_check=next_check, ruled_out=tuple(ruled_out))


def _row(blame: Blame, facts: Facts) -> Row:
    rows = RULES[(blame.layer, blame.reason)]
    return next(row for row in rows if row.when is None or row.when(facts))


def _missed(run: Run) -> Verdict:
    """A failure was expected of a layer that was never tried: nothing is to blame, yet nothing was shown."""
    layer = run.cell.expect.failed or run.cell.ladder[-1]
    says = f"This probe expects {layer} to fail, but {layer} was never tried: nothing is shown either way."
    check = f"An address literal needs no dns, and a plain URL no tls: does {layer} stand on this path's ladder at all?"
    return Verdict(Code.EXPECTATION_MISSED, layer, Reason.UNEXPECTED_SUCCESS, says, (), check)


def _proved_below(run: Run, layer: Layer) -> Iterator[str]:
    """One sentence for each layer below `layer` that held."""
    for outcome in run.outcomes:
        if outcome.layer is layer:
            return
        sentence = _proof(run, outcome)
        if sentence:
            yield sentence


def _proof(run: Run, outcome: Outcome) -> str:
    """What a layer that held proves about `run`'s target; "" for one that was skipped without a finding."""
    if outcome.result is Result.SKIPPED:
        ready = outcome.evidence.get("endpoints")
        return f"EndpointSlices: {ready} ready address{'es' if ready != 1 else ''}." if ready else ""
    if not outcome.held:
        return ""
    took = human_seconds(outcome.seconds or 0.0)
    facts = Facts(run, outcome.layer)
    if outcome.layer is Layer.DNS:
        record = "AAAA" if run.cell.family is Family.IPV6 else "A"
        return f"DNS: {facts['name']} has the {record} record {run.address} ({took})."
    if outcome.layer is Layer.TCP:
        return f"TCP to {facts['where']} ({took}): {_tcp_proof(facts)} work."
    if outcome.layer is Layer.PROXY:
        return f"Proxy: it lets us through to {facts['goal']} ({took})."
    return f"TLS ({took}): {_tls_proof(facts)}."


def _tcp_proof(facts: Facts) -> str:
    if facts.proxied:
        return "the way to the proxy and its listener"
    if facts.cluster_service or facts.cell.kind is Kind.KUBERNETES:
        return "Service translation, routing, NetworkPolicy and a listening backend"
    return "routing, NetworkPolicy and the listener on it"


def _tls_proof(facts: Facts) -> str:
    evidence = facts.evidence
    version = evidence.get("version") or "a handshake"
    if evidence.get("errors") or not facts.cell.options.tls.verify:
        return f"{version} is agreed on; the certificate was not held against it (verify: false)"
    days = evidence.get("days_left")
    left = f", valid for {days:.0f} more days" if isinstance(days, float | int) else ""
    return f"{version}, a certificate that fits {facts['tls_name']} and is trusted{left}"
