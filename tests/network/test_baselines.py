"""Baselines on real traces: what is changed in the network alarms where it was changed and as large as it was, by the
wire's own record; what is not changed stays quiet. How the traces are made, and what of them is scaled: `traces.py`.

Four recordings are held against one baseline. In each of them the families have different fates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from prober.baseline.fit import Fit, fit
from prober.baseline.groups import Group, GroupBank, Pool
from prober.baseline.members import hourly_of, weights_of
from prober.baseline.sight import smallest_seen
from prober.baseline.values import BLOCK, HOUR, Channel, Direction, Level, Regression, SeriesKey
from prober.reasons import Family, Reason
from tests.network.lab import plan
from tests.network.lab.process import LabProcess
from tests.network.traces import CELLS, DNS, EVERY, HELD, HTTP, ICMP, TCP1, TCP3, TLS, Cell, Recorder, of_all
from tests.network.watching import RECORDED, WATCHED, Watched, hours, watch
from tests.support.fronts import require_path

pytestmark = pytest.mark.timeout(300)  # what is recorded is recorded for all of them, before the first

V4, V6 = plan.V4, plan.V6
BASELINE = RECORDED * HOUR // EVERY
#: Climbs of each series: nine hours and a third; of what is rare or only partly slow, more.
COUNT, LONG, LONGER = 280, 500, 800
#: By how much a change has to be larger (log seconds) than what the baseline lets be seen, to be seen for certain.
CERTAIN = 1.1
#: Long-run deviation of a block (log seconds) beyond which a baseline is more of a busy machine than of the network.
STEADY = 0.03
#: Seconds each way on the way to node2; shares of the base delay; seconds of the tail, and of the slow endpoint.
ON_NODE2, MORE, LESS, TAIL, ENDPOINT = 0.001, 1.1, 0.86, 0.025, 0.005
RARELY = ("-m", "statistic", "--mode", "random", "--probability", "0.03")
#: Every so many-th connection is refused.
NTH = 33
_REFUSE = (
    "table inet refuse {{ chain f {{ type filter hook forward priority -5; "
    "ip daddr {} tcp dport {} tcp flags & (syn | ack) == syn numgen inc mod {} == 0 reject with tcp reset; }}; }}"
)
LOCATION = (Channel.LOCATION, Channel.RANK)


class Told(NamedTuple):
    """The baseline, and what was made of each recording."""

    fits: dict[SeriesKey, Fit]
    quiet: Watched
    """Nothing was changed."""
    slower: Watched
    """IPv4: node2 is slower. IPv6: everything is slower by a tenth."""
    tail: Watched
    """IPv4: everything is faster. IPv6: to and from node2 a few packets are late."""
    partly: Watched
    """IPv4: one endpoint of three is slower, another one refuses some connections."""


@pytest.fixture(scope="module")
def told(lab: LabProcess) -> Told:
    require_path("nginx")
    with Recorder(lab) as recorder:
        before = recorder.record(of_all(BASELINE))
        fits = {key: fit(hours(series)) for key, series in before.items()}
        quiet = recorder.record(of_all(COUNT))
        with recorder.tool(plan.NODE2, V4) as tool:
            tool.hold(ON_NODE2)
            slower = recorder.record(of_all(COUNT), ipv6=HELD * MORE)
        with recorder.tool(plan.NODE2, V6, *RARELY) as tool:
            tool.hold(TAIL)
            tail = recorder.record(of_all(COUNT), ipv4=HELD * LESS)
        physical = ("-m", "physdev", "--physdev-in", f"veth-{plan.WEB3.name}")
        with recorder.tool(plan.NODE2, V4, *physical) as tool, refusing(lab, plan.WEB1):
            tool.hold(ENDPOINT)
            partly = recorder.record(
                {(HTTP, V4): LONGER, (TCP1, V4): LONG, (TCP3, V4): LONG, (ICMP, V4): LONG, (TCP3, V6): LONG}
            )
    return Told(fits, *(watch(fits, before, trace) for trace in (quiet, slower, tail, partly)))


@contextmanager
def refusing(lab: LabProcess, pod: plan.Pod) -> Iterator[None]:
    """Some IPv4 connections to a Pod of node1 are reset on its node."""
    rule = _REFUSE.format(pod.address(V4), plan.HTTP, NTH)
    done = lab.run(plan.NODE1.name, "nft", rule)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        lab.run(plan.NODE1.name, "nft", "delete table inet refuse")


def keys(family: Family, cells: Sequence[Cell] = CELLS) -> list[SeriesKey]:
    return [cell.key(family, layer) for cell in cells for layer in cell.layers]


#: The factor on p99 from which the share of late packets was above one in a hundred for sure: below, p99 may lie on
#: either
#: side of the gap, and since the onset on the other one than over all.
CLEAR = 2.0
#: An interval of 95 % misses the truth one time in twenty: by no more than this factor.
MISSED = 1.02


def say(case: str, truth: float, alarm: Regression) -> None:
    """A line for `-s`."""
    size, level = alarm.size, f"{alarm.level} after {(alarm.since - WATCHED) / HOUR:.1f} h"
    assert size is not None
    interval = f"{size.change:.3f} [{size.lower:.3f} {size.upper:.3f}]"
    print(f"{case:28} {alarm.subject!s:40} {alarm.channel:9} {level:24} wire {truth:.3f} told {interval}")


def assert_sized(case: str, truth: float, alarms: Sequence[Regression]) -> None:
    assert alarms, case
    for alarm in alarms:
        say(case, truth, alarm)
        assert alarm.size is not None
        assert alarm.size.lower / MISSED < truth < alarm.size.upper * MISSED, alarm


def shifted(watched: Watched, key: SeriesKey, direction: Direction) -> list[Regression]:
    """Alarms about the location of a series; there must be no other way that it went."""
    found = watched.alarms(key, *LOCATION)
    assert {alarm.direction for alarm in found} <= {direction}, found
    return found


def steady(told: Told, among: Sequence[SeriesKey]) -> list[SeriesKey]:
    """Those with a baseline of which something is demanded. Where the lab may not go before others (`Recorder`) a busy
    machine may leave none."""
    found = [key for key in among if told.fits[key].psi.deviation < STEADY]
    return found or pytest.skip("the machine is too restless")


def seen(told: Told, watched: Watched, among: Sequence[SeriesKey]) -> list[SeriesKey]:
    """The series that have to alarm: the wire has moved by more than what their baseline lets be overlooked."""
    blocks = COUNT * EVERY // BLOCK
    keys = steady(told, among)
    least = {key: CERTAIN * math.log(smallest_seen(told.fits[key], blocks)) for key in keys}
    found = [key for key in keys if abs(math.log(watched.wire(key)[1])) > least[key]]
    assert found
    return found


def test_nothing_alarms_while_nothing_is_changed(told: Told) -> None:
    assert len(told.quiet.trace) == 2 * sum(len(cell.layers) for cell in CELLS)
    assert list(told.quiet.unfounded()) == []


def test_no_alarm_is_without_a_reason_on_the_wire(told: Told) -> None:
    for watched in told[2:]:
        assert list(watched.unfounded()) == []


def test_a_node_that_is_2_ms_slower_alarms_in_its_own_series(told: Told) -> None:
    assert shifted(told.slower, TCP1.key(V4, "tcp"), Direction.REGRESSED) == []
    for key in seen(told, told.slower, keys(V4, [TCP3, ICMP, DNS, TLS])):
        assert_sized("+2 ms on node2", told.slower.wire(key)[0], shifted(told.slower, key, Direction.REGRESSED))


def test_a_service_is_slower_by_no_more_than_its_endpoints_on_the_slow_node(told: Told) -> None:
    for key in seen(told, told.slower, keys(V4, [HTTP])):
        found = shifted(told.slower, key, Direction.REGRESSED)
        assert found
        for alarm in found:
            say("+2 ms for 2 of 3 endpoints", told.slower.wire(key)[1], alarm)
            assert alarm.size is not None
            assert 1.0 < alarm.size.lower < alarm.size.change < told.slower.wire(key)[0]


def test_the_slow_node_minus_the_other_one_is_confirmed_before_its_series_are_suspected(told: Told) -> None:
    slow, other = TCP3.key(V4, "tcp"), TCP1.key(V4, "tcp")
    if len(steady(told, [slow, other])) < 2:
        pytest.skip("the machine is too restless for one of the two")
    group = Group("node2 minus node1", "tcp", (slow,), (other,))
    pool = Pool([group], weights_of({key: told.fits[key] for key in (slow, other)}))
    bank = GroupBank(pool, pool.learned(hourly_of({key: told.fits[key] for key in (slow, other)})), "lab v1")
    rows = list(told.slower.trace)
    for shifts in told.slower.shifts:
        bank.end_block(shifts.start, {key: float(shifts.shift[rows.index(key), 0]) for key in (slow, other)})
    (found,) = bank.regressions()
    say("+2 ms on node2", told.slower.wire(slow)[0], found)
    assert (found.level, found.direction) == (Level.CONFIRMED, Direction.REGRESSED)
    assert found.size is not None
    assert abs(math.log(found.size.change / told.slower.wire(slow)[0])) < math.log(MISSED)
    assert all(found.since < alarm.since for alarm in told.slower.alarms(slow, *LOCATION))


def test_a_tenth_more_is_told_as_a_tenth_in_every_layer(told: Told) -> None:
    for key in seen(told, told.slower, keys(V6)):
        assert_sized("+10 %", told.slower.wire(key)[0], shifted(told.slower, key, Direction.REGRESSED))


def test_what_became_faster_is_an_improvement_in_every_layer(told: Told) -> None:
    for key in seen(told, told.tail, keys(V4)):
        assert_sized("-14 %", told.tail.wire(key)[0], shifted(told.tail, key, Direction.IMPROVED))


def test_late_packets_alarm_in_the_tail_alone(told: Told) -> None:
    far = steady(told, [key for key in keys(V6) if key not in keys(V6, [TCP1])])
    found = {key: told.tail.alarms(key, Channel.TAIL) for key in far}
    assert sum(map(bool, found.values())) >= len(far) / 2
    for key, alarms in found.items():
        if alarms and told.tail.wire(key)[2] > CLEAR:
            assert_sized("3 % of packets +25 ms", told.tail.wire(key)[2], alarms)
        assert told.tail.alarms(key, *LOCATION) == []
    assert told.tail.alarms(TCP1.key(V6, "tcp"), Channel.TAIL) == []


def test_one_slow_endpoint_of_three_is_seen_through_the_service_and_named_by_the_pods(told: Told) -> None:
    service, slow = HTTP.key(V4, "tcp"), TCP3.key(V4, "tcp")
    steady(told, [slow])
    assert_sized("the Pod that is slow", told.partly.wire(slow)[0], shifted(told.partly, slow, Direction.REGRESSED))
    for key in (TCP1.key(V4, "tcp"), ICMP.key(V4, "icmp")):
        assert shifted(told.partly, key, Direction.REGRESSED) == []
    steady(told, [service])
    found = shifted(told.partly, service, Direction.REGRESSED)
    assert found
    for alarm in found:
        say("1 of 3 endpoints +50 %", told.partly.wire(service)[1], alarm)


def test_refused_connections_alarm_with_their_reason_and_their_share(told: Told) -> None:
    failing = TCP1.key(V4, "tcp")
    found = told.partly.alarms(failing, Channel.FAILURE)
    assert {alarm.reason for alarm in found} == {"", Reason.REFUSED}
    assert_sized("every 33rd refused", 1 / NTH, found)
    failures = {alarm.subject for alarm in told.partly.bank.regressions() if alarm.channel is Channel.FAILURE}
    assert failures <= {failing, HTTP.key(V4, "tcp")}
