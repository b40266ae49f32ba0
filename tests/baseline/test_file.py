"""A recording as a file: the same again after reading, equal bytes for equal recordings, and nothing of a bad one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prober.baseline import file, lines
from prober.baseline.file import BadFile, read, read_all, write, write_all
from prober.baseline.packed import PackedSeries, blobs_of
from prober.baseline.sketch import BINS, Sketch
from prober.baseline.values import BLOCKS, HOUR, Hour, Origin, Recording, SeriesKey
from tests.support.fuzz import damaged, fuzzed
from tests.support.hours import START, key, recording

Held = tuple[Hour, ...]

#: Texts as they come from people and clusters, in any writing, without control characters.
TEXT = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=12)
NAME = TEXT.filter(bool)
LABEL = st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="/"), min_size=1, max_size=20)
MOMENT = st.floats(0, 2**33)
SKETCH = st.dictionaries(st.integers(0, BINS - 1), st.integers(1, 2**40), max_size=20).map(
    lambda counts: Sketch(np.array(sorted(counts), np.int64), np.array([counts[b] for b in sorted(counts)], np.int64))
)
HOURS = st.lists(
    st.builds(
        Hour,
        st.integers(0, 10**6).map(lambda hours: hours * HOUR),
        SKETCH,
        st.dictionaries(NAME, st.integers(1, 2**40), max_size=3),
        st.integers(0, (1 << BLOCKS) - 1),
    ),
    unique_by=lambda one: one.start,
    max_size=5,
).map(lambda hours: tuple(sorted(hours, key=lambda one: one.start)))
ORIGIN = st.builds(Origin, TEXT, TEXT, TEXT, TEXT, st.dictionaries(NAME, TEXT, max_size=3))
KEY = st.builds(SeriesKey, NAME, NAME, NAME, NAME, NAME, TEXT)
RECORDING = st.builds(
    Recording,
    LABEL,
    ORIGIN,
    MOMENT,
    MOMENT,
    MOMENT,
    st.integers(0, 99),
    st.dictionaries(KEY, HOURS, max_size=4),
    st.dictionaries(NAME, TEXT, max_size=3),
)


@fuzzed(50)
@given(RECORDING)
def test_what_is_read_is_what_was_written_and_equal_recordings_make_equal_bytes(one: Recording) -> None:
    data = write(one)
    again = read(data)
    assert again == one
    assert write(again) == data
    backwards = dict(reversed(list(one.series.items())))
    assert write(replace(one, series=PackedSeries(dict(blobs_of(backwards))))) == data


@fuzzed(20)
@given(st.lists(RECORDING, min_size=1, max_size=3))
def test_files_put_one_behind_another_are_one_file_of_all_of_them(several: list[Recording]) -> None:
    assert read_all(b"".join(map(write, several))) == read_all(write_all(several)) == tuple(several)


@fuzzed(30)
@given(HOURS, HOURS, st.dictionaries(st.sampled_from(["timeout", "refused"]), st.integers(1, 99)))
def test_hours_merge_to_the_same_before_and_after_a_file(one: Held, other: Held, failed: dict[str, int]) -> None:
    def through(hours: Held) -> Held:
        return read(write(replace(recording(), series={key(): hours}))).series[key()]

    mine = tuple(replace(hour, failed=failed) for hour in one)
    theirs = {hour.start: hour for hour in other}
    merged = [hour.merged(theirs.get(hour.start, hour)) for hour in mine]
    read_back = {hour.start: hour for hour in through(other)}
    assert [hour.merged(read_back.get(hour.start, hour)) for hour in through(mine)] == merged


def test_the_file_is_gzip_of_json_lines_without_a_time_of_its_own() -> None:
    data = write(recording(series=2, hours=1))
    assert data[4:8] == b"\0\0\0\0"
    head, first, second, last = (json.loads(line) for line in gzip.decompress(data).splitlines())
    assert (head["format"], head["version"], head["label"], head["origin"]["zone"]) == (
        "prober-baseline",
        1,
        "healthy",
        "eu-1a",
    )
    assert [one["target"] for one in (first, second)] == ["target-0", "target-1"]
    assert first["hours"][0][:3] == [START, 63, {"timeout": 1, "refused": 1}]
    assert last["series"] == 2


@pytest.mark.parametrize(
    "changed",
    [{"label": "a\x1b[2J"}, {"origin": Origin("node", about={"cni": "\u202ecilium"})}, {"settings": {"a\nb": ""}}],
)
def test_what_could_not_be_read_again_is_not_written(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="control characters"):
        write(replace(recording(), **changed))


# Bad files

Told = list[dict[str, Any]]


def rebuilt(change: Callable[[Told], object], *, summed: bool = True) -> bytes:
    """A file of two series, with its lines changed, and the sum in the last one right again."""
    told = [json.loads(line) for line in gzip.decompress(write(recording(hours=2))).splitlines()]
    change(told)
    text = [json.dumps(line).encode() + b"\n" for line in told]
    if summed and "sha256" in told[-1]:
        end = {"series": len(told) - 2, "sha256": hashlib.sha256(b"".join(text[:-1])).hexdigest()}
        text[-1] = json.dumps(end).encode() + b"\n"
    return gzip.compress(b"".join(text), mtime=0)


def put(line: int, name: str, value: object) -> Callable[[Told], object]:
    return lambda told: told[line].__setitem__(name, value)


def put_hour(at: int, value: object) -> Callable[[Told], object]:
    return lambda told: told[1]["hours"][0].__setitem__(at, value)


def sketched(*numbers: int) -> str:
    """A sketch of these numbers, each in one byte."""
    return base64.b64encode(bytes(numbers)).decode()


BAD: list[tuple[Callable[[Told], object], str]] = [
    (put(0, "format", "prober-run"), "line 1: format: not prober-baseline"),
    (put(0, "version", 2), "line 1: version: 2: this prober reads 1"),
    (put(0, "label", ""), "line 1: label: not a text"),
    (put(0, "label", "a/b"), "line 1: label: a label has printable characters alone, and no slash"),
    (put(0, "label", "a\x1b[2J"), "line 1: label: control characters"),
    (put(0, "since", "yesterday"), "line 1: since: not a time"),
    (put(0, "until", True), "line 1: until: not a time"),
    (put(0, "until", 1e300), "line 1: until: not a time"),
    (put(0, "recorded_at", -1), "line 1: recorded_at: not a time"),
    (put(0, "label_version", 1.5), "line 1: label_version: not an integer"),
    (put(0, "origin", []), "line 1: origin: not an object"),
    (put(0, "origin", {"vantage": "a", "node": "", "zone": "", "region": ""}), "line 1: origin.about: missing"),
    (put(0, "settings", {"": "a"}), "line 1: settings.'': not a name"),
    (put(0, "settings", {"a": 1}), "line 1: settings.a: not a text"),
    (put(0, "colour", "blue"), "line 1: 'colour': unknown"),
    (lambda told: told[0].pop("origin"), "line 1: origin: missing"),
    (put(1, "probe", ""), "line 2: probe: not a text"),
    (put(1, "node", None), "line 2: node: not a text"),
    (put(1, "hours", {}), "line 2: hours: not a list"),
    (put(1, "hours", [[1, 2, 3]]), r"line 2: hours\[0\]: not start, covered"),
    (put(1, "more", 1), "line 2: 'more': unknown"),
    (put_hour(0, START + 1), r"line 2: hours\[0\]: does not begin with an hour"),
    (put_hour(0, START + HOUR), r"line 2: hours\[1\]: not after the one before"),
    (put_hour(1, 64), r"line 2: hours\[0\]: not an integer from 0 to 63"),
    (put_hour(2, {"timeout": 0}), r"line 2: hours\[0\].timeout: not an integer from 1"),
    (put_hour(2, ["timeout"]), r"line 2: hours\[0\]: not an object"),
    (put_hour(3, 5), r"line 2: hours\[0\]: a sketch that is not base64"),
    (put_hour(3, "!"), r"line 2: hours\[0\]: a sketch that is not base64"),
    (put_hour(3, sketched(1)), "line 2: hours: a sketch of odd length"),
    (put_hour(3, sketched(1, 0)), "line 2: hours: a sketch with bins that cannot be"),
    (put_hour(3, sketched(1, 1, 0, 1)), "line 2: hours: a sketch with bins that cannot be"),
    (put_hour(3, sketched(0xFF, 0x7F, 1)), "line 2: hours: a sketch with bins that cannot be"),
    # Two gaps that add up to a negative bin in 64 bits.
    (put_hour(3, sketched(*([0x80] * 8 + [0x40, 1]) * 2)), "line 2: hours: a sketch with bins that cannot be"),
    (put_hour(3, sketched(1, *[0xFF] * 8, 0x7F)), "line 2: hours: a sketch with counts above"),
    (put_hour(3, sketched(1, *[0xFF] * 9, 0x7F)), "line 2: hours: a number of a sketch is too large"),
    (lambda told: told.insert(2, told[1]), "line 3: web/target-0/service/ipv4 tcp: twice"),
    (lambda told: told.pop(), "line 4: the file ends within a recording"),
]


@pytest.mark.parametrize(("change", "why"), BAD)
def test_a_field_that_cannot_be_is_refused_with_its_line(change: Callable[[Told], object], why: str) -> None:
    with pytest.raises(BadFile, match=f"^{why}"):
        read(rebuilt(change))


@pytest.mark.parametrize(
    ("change", "line"),
    [(lambda told: told.pop(1), 3), (put(1, "probe", "other"), 4), (put(3, "series", 3), 4), (put(3, "more", 1), 4)],
)
def test_a_file_that_was_changed_is_noticed_by_its_last_line(change: Callable[[Told], object], line: int) -> None:
    with pytest.raises(BadFile, match="the lines before are not those that were written") as caught:
        read(rebuilt(change, summed=False))
    assert caught.value.line == line


def test_a_file_that_was_cut_anywhere_is_noticed() -> None:
    data = write(recording(hours=1))
    for length in range(len(data)):
        with pytest.raises(BadFile):
            read(data[:length])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "line 1: an empty file"),
        (b"[]\n", "line 1: not a JSON object"),
        (b"{\n", "line 1: not JSON"),
        (b"\xff\n", "line 1: not JSON"),
        (b'{"since": NaN}\n', "line 1: not JSON: NaN is no number"),
        (b"[" * 200_000 + b"\n", "line 1: nested too deeply"),
        (b'{"since": ' + b"9" * 5000 + b"}\n", "line 1: not JSON"),
        (b"{}", "line 1: the file ends within a line"),
    ],
)
def test_what_is_no_line_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(BadFile, match=f"^{why}"):
        read_all(gzip.compress(text))


def test_what_is_no_gzip_is_refused() -> None:
    with pytest.raises(BadFile, match="line 1: not gzip"):
        read(b'{"format": "prober-baseline"}')


def test_what_follows_a_recording_has_to_be_another_one() -> None:
    with pytest.raises(BadFile, match="line 5: format: missing"):
        read(write(recording(hours=1)) + gzip.compress(b"{}\n"))


def test_one_recording_is_asked_for_and_two_are_refused() -> None:
    with pytest.raises(BadFile, match="2 recordings where one was expected"):
        read(write_all([recording(hours=1), recording(hours=1)]))


def test_a_bomb_is_given_up_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    line = gzip.compress(b" " * (lines.LONGEST_LINE * 16))
    tracemalloc.start()
    with pytest.raises(BadFile, match="bytes in a line"):
        read(line)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < lines.LONGEST_LINE * 4
    monkeypatch.setattr(lines, "MOST_BYTES", 1000)
    with pytest.raises(BadFile, match="or 1000 in all"):
        read(write(recording()))


def test_more_series_than_there_can_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MOST_SERIES", 3)
    assert len(read(write(recording(series=3, hours=1))).series) == 3
    with pytest.raises(BadFile, match="line 5: more than 3 series"):
        read(write(recording(series=4, hours=1)))


GOOD = write(recording(hours=1))


@fuzzed(100)
@given(damaged(gzip.decompress(GOOD)).map(gzip.compress) | damaged(GOOD))
def test_whatever_comes_is_a_recording_or_a_bad_file(data: bytes) -> None:
    with suppress(BadFile):
        assert read_all(write_all(read_all(data)))
