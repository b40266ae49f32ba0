"""What is said of one regression, of many at once, and of groups."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prober.baseline.chance import most_by_chance
from prober.baseline.folding import fold_series
from prober.baseline.grouping import groups_of
from prober.baseline.places import Atlas
from prober.baseline.sentences import sentence
from prober.baseline.summary import as_dict, fold
from prober.baseline.values import HOUR, Channel, Direction, Level, Regression, SeriesKey, Size

#: 2026-11-26 14:20 UTC.
AT = 1_795_702_800.0
NOW = AT + 2 * HOUR
KEYS = tuple(
    SeriesKey("web", f"api-{target}", path, family, layer)
    for target in range(4)
    for path in ("ingress", "service")
    for family in ("ipv4", "ipv6")
    for layer in ("tcp", "http")
)
ONE = SeriesKey("web", "web-api", "ingress", "ipv4", "tcp")


def told(
    subject: SeriesKey | str = ONE, channel: Channel = Channel.LOCATION, change: float = 1.18, **more: object
) -> Regression:
    """A confirmed regression of 18 %."""
    layer = subject.layer if isinstance(subject, SeriesKey) else subject.partition(" ")[0]
    size = Size(change, change - 0.06, change + 0.06)
    one = Regression(
        subject, layer, channel, Level.CONFIRMED, Direction.REGRESSED, AT, AT + 600, 2.5, size, "healthy v1"
    )
    return replace(one, **more)  # type: ignore[arg-type]  # its own fields


SUSPECT = {"level": Level.SUSPECT, "evidence": 1.2}


def says(*ones: Regression, known: tuple[SeriesKey, ...] = KEYS) -> list[str]:
    return [one.says(NOW) for one in fold(ones, known, {str(group): group for group in groups_of(known)})]


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (told(), "tcp 18 % slower since 14:20 HERE (12–24 %), confirmed"),
        (told(**SUSPECT), "tcp 18 % slower since 14:20 HERE (12–24 %), suspect"),
        (told(change=1.031, size=Size(1.031, 0.99, 1.07)),
         "tcp 3.1 % slower since 14:20 HERE (-1 to 7 %), confirmed"),
        (told(change=2.43), "tcp 2.4 times as slow since 14:20 HERE (2.4–2.5 times), confirmed"),
        (told(size=Size(3.0, 2.5, 1e20)),
         "tcp 3.0 times as slow since 14:20 HERE (at least 2.5 times), confirmed"),
        (told(size=None), "tcp slower since 14:20 HERE, confirmed"),
        (told(change=0.8, direction=Direction.IMPROVED),
         "tcp 20 % faster since 14:20 HERE (14–26 %), confirmed"),
        (told(channel=Channel.TAIL, size=Size(2.1, 1.8, 2.5)),
         "p99 of tcp 2.1 times as long since 14:20 HERE (1.8–2.5 times), confirmed"),
        (told(channel=Channel.TAIL, change=1.4),
         "p99 of tcp 40 % longer since 14:20 HERE (34–46 %), confirmed"),
        (told(channel=Channel.FAILURE, size=Size(0.031, 0.02, 0.045), was=0.002, now=0.031, reason="timeout"),
         "failures of tcp 3.1 % instead of 0.2 % since 14:20 HERE (2–4.5 %), confirmed: timeout"),
        (told(replace(ONE, node="worker-3")),
         "tcp 18 % slower since 14:20 HERE on node worker-3 (12–24 %), confirmed"),
        (told(onset=AT - 48 * HOUR), "tcp 18 % slower since 2026-11-24 14:20 HERE (12–24 %), confirmed"),
        (told(cleared=AT + HOUR), "tcp 18 % slower from 14:20 to 15:20 HERE (12–24 %), confirmed"),
        (told("tcp all"), "tcp 18 % slower since 14:20 everywhere together (12–24 %), confirmed"),
        (told("tcp path ingress"), "tcp 18 % slower since 14:20 over path ingress together (12–24 %), confirmed"),
        (told("tcp changed minus control", change=1.03),
         "tcp 3 % slower since 14:20 in changed beyond control (-3 to 9 %), confirmed"),
    ],
)  # fmt: skip
def test_a_regression_is_one_sentence(one: Regression, text: str) -> None:
    assert sentence(one, NOW) == text.replace("HERE", "for web/web-api/ingress/ipv4")


def test_what_nodes_have_in_common_is_said_where_somebody_knows_it() -> None:
    text = "tcp 18 % slower since 14:20 for web/web-api/ingress/ipv4 on nodes with kernel 6.12 (12–24 %), confirmed"
    assert sentence(told(), NOW, "on nodes with kernel 6.12") == text
    on_one = "tcp 18 % slower since 14:20 for web/web-api/ingress/ipv4 on node n1, as on nodes with kernel 6.12 ("
    assert sentence(told(replace(ONE, node="n1")), NOW, "on nodes with kernel 6.12").startswith(on_one)


def changed(layer: str = "tcp", **labels: str) -> list[Regression]:
    """A regression of each series of a layer that has these labels, not quite of one size or at one time."""
    having = [
        key for key in KEYS
        if key.layer == layer and all(getattr(key, name) == value for name, value in labels.items())
    ]  # fmt: skip
    return [told(key, change=1.14 + 0.02 * (n % 5), onset=AT + 600 * (n % 3 == 2)) for n, key in enumerate(having)]


class TestFolding:
    def test_all_series_of_a_layer(self) -> None:
        assert says(*changed()) == [
            "tcp 18 % slower since 14:20 everywhere (14–22 % each), confirmed, 16 of 16 series"
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("labels", "where", "count"),
        [
            ({"path": "ingress"}, "over path ingress", "8 of 8"),
            ({"path": "ingress", "family": "ipv6"}, "over path ingress by ipv6", "4 of 4"),
            ({"target": "api-2"}, "to api-2", "4 of 4"),
            ({"target": "api-2", "path": "service"}, "over path service to api-2", "2 of 2"),
        ],
    )
    def test_the_fewest_labels_that_tell_the_place(self, labels: dict[str, str], where: str, count: str) -> None:
        (text,) = says(*changed(**labels))
        assert f" since 14:20 {where} (" in text
        assert text.endswith(f"confirmed, {count} series")

    def test_a_few_that_are_missing_do_not_matter_and_suspects_of_the_place_belong_to_it(self) -> None:
        ones = changed(path="ingress")[:7]
        ones[6] = replace(ones[6], **SUSPECT)
        (text,) = says(*ones)
        assert " over path ingress (" in text
        assert text.endswith("confirmed, 7 of 8 series, 6 of them confirmed")

    def test_several_places_are_several_sentences(self) -> None:
        texts = says(*changed(path="ingress", family="ipv6"), *changed(target="api-0", path="service"))
        assert [text.partition(" since 14:20 ")[2].partition(" (")[0] for text in texts] == [
            "over path ingress by ipv6", "over path service to api-0",
        ]  # fmt: skip

    def test_layers_times_and_sizes_that_differ_are_changes_of_their_own(self) -> None:
        later = [replace(one, onset=AT + 5 * HOUR) for one in changed(path="ingress")]
        larger = [replace(one, size=Size(1.9, 1.8, 2.0)) for one in changed("http")]
        texts = says(*later, *changed(path="service"), *larger)
        assert sorted(text.partition(",")[0] for text in texts) == [
            "http 90 % slower since 14:20 everywhere",
            "tcp 17 % slower since 14:20 over path service (14–22 % each)",
            "tcp 17 % slower since 19:20 over path ingress (14–22 % each)",
        ]

    def test_series_without_a_place_in_common_are_listed(self) -> None:
        keys = [KEYS[0], KEYS[10], KEYS[20], KEYS[30]]
        (text,) = says(*map(told, keys))
        assert " for web/api-0/ingress/ipv4, web/api-1/ingress/ipv6, web/api-2/service/ipv4 and 1 more, " in text
        assert text.endswith(", 4 series")

    def test_two_channels_of_a_series_are_one_change_and_a_reason_says_more_than_all_failures(self) -> None:
        both = [told(), told(channel=Channel.RANK, evidence=3.0, change=1.2)]
        failing = [
            told(channel=Channel.FAILURE, size=Size(0.03, 0.02, 0.04), was=0.0, now=0.03, reason=reason)
            for reason in ("", "timeout")
        ]
        assert [text.split(" since")[0] for text in says(*both, *failing, known=(ONE,))] == [
            "tcp 20 % slower", "failures of tcp 3 % instead of 0 %",
        ]  # fmt: skip

    def test_a_node_is_told_once_and_so_is_a_cell_that_changed_on_all_of_them(self) -> None:
        whole = KEYS[0]
        nodes = [replace(whole, node=f"worker-{n}") for n in range(4)]
        known = (*KEYS, *nodes)
        (one,) = says(told(nodes[1]), told(whole), known=known)
        assert " since 14:20 for web/api-0/ingress/ipv4 on node worker-1 (" in one
        (one,) = says(*map(told, nodes), told(whole), known=known)
        assert " since 14:20 for web/api-0/ingress/ipv4 (" in one

    def test_the_zone_of_nodes_is_told_where_it_is_known(self) -> None:
        nodes = {f"worker-{n}": f"eu-1{'ab'[n % 2]}" for n in range(6)}
        known = [replace(KEYS[0], node=node) for node in nodes]
        (one,) = fold_series([told(key) for key in known if nodes[key.node] == "eu-1b"], known, nodes)
        assert " since 14:20 in zone eu-1b, " in one.says(NOW)

    def test_confirmed_ones_come_first_then_what_is_worse_then_what_is_larger(self) -> None:
        better = [replace(one, direction=Direction.IMPROVED, size=Size(0.8, 0.7, 0.9)) for one in changed("http")]
        texts = says(*better, told(KEYS[0], **SUSPECT), *changed(path="service"))
        assert [text.split(" ")[0] + text.split(" ")[3] for text in texts] == ["tcpslower", "httpfaster", "tcpslower"]


class TestWhatPages:
    def test_a_confirmed_one_does_and_a_suspect_or_an_improvement_does_not(self) -> None:
        assert [one.pages for one in fold([told()], KEYS)] == [True]
        assert [one.pages for one in fold([told(**SUSPECT)], KEYS)] == [False]
        assert [one.pages for one in fold([told(direction=Direction.IMPROVED, change=0.8)], KEYS)] == [False]

    def test_more_suspects_of_a_place_at_once_than_chance_allows_do(self) -> None:
        suspects = [replace(one, **SUSPECT) for one in changed(path="ingress")]
        assert [one.pages for one in fold(suspects[:2], KEYS)] == [False]
        (crowd,) = fold(suspects[:3], KEYS)
        assert (crowd.pages, crowd.by_chance) == (True, 2)
        assert crowd.says(NOW).endswith("suspect, 3 of 4 series, more than chance allows (2)")

    def test_a_confirmed_difference_of_groups_does_and_a_pool_does_not(self) -> None:
        groups = {str(group): group for group in groups_of(KEYS)}
        ones = [told(name) for name in ("tcp ingress minus service web/api-0/ipv4", "tcp all")]
        assert [(one.group, one.pages) for one in fold(ones, KEYS, groups)] == [
            ("ingress minus service", True), ("all", False),
        ]  # fmt: skip


@pytest.mark.parametrize(("series", "most"), [(0, 2), (3, 2), (100, 4), (1000, 13), (10_000, 73), (200_000, 1098)])
def test_how_many_suspects_chance_allows(series: int, most: int) -> None:
    assert most_by_chance(series) == most


class TestGroups:
    def test_differences_of_one_name_are_one_sentence(self) -> None:
        names = [f"tcp ingress minus service web/api-{n}/ipv4" for n in range(2)]
        assert says(*map(told, names)) == [
            "tcp 18 % slower since 14:20 in ingress beyond service for web/api-0/ipv4 and web/api-1/ipv4, confirmed"
        ]

    def test_a_pool_is_told_once_by_the_widest_or_by_one_that_has_changed_far_more(self) -> None:
        alike = [told("tcp all"), told("tcp path ingress", change=1.19), told("tcp family ipv6")]
        assert says(*alike) == ["tcp 18 % slower since 14:20 everywhere together (12–24 %), confirmed"]
        narrow = [told("tcp all"), told("tcp path ingress", change=1.4)]
        assert says(*narrow) == ["tcp 40 % slower since 14:20 over path ingress together (34–46 %), confirmed"]

    def test_a_pool_whose_series_are_told_says_nothing_more(self) -> None:
        assert len(says(told("tcp all"), *changed())) == 1
        assert len(says(told("http all"), *changed())) == 2

    def test_a_group_that_is_not_known_any_more_is_told_by_its_text(self) -> None:
        (one,) = fold([told("tcp changed minus control")], KEYS)
        assert one.says(NOW) == "tcp 18 % slower since 14:20 in changed beyond control (12–24 %), confirmed"


def test_as_json_it_has_its_words_and_what_they_are_made_of() -> None:
    (one,) = fold(changed(path="ingress"), KEYS)
    found = as_dict(one, NOW)
    assert found["says"] == one.says(NOW)
    assert (found["where"], found["of"], len(found["series"])) == ({"path": ["ingress"]}, 8, 8)
    assert (found["onset"], found["level"], found["kind"], found["pages"]) == (
        "2026-11-26T14:20:00.000000Z", "confirmed", "latency", True,
    )  # fmt: skip


def test_a_place_of_thousands_of_series_is_found() -> None:
    keys = [
        SeriesKey("web", f"api-{n}", path, family, "tcp")
        for n in range(500) for path in ("ingress", "service", "pod") for family in ("ipv4", "ipv6")
    ]  # fmt: skip
    atlas = Atlas(keys)
    place = atlas.place(atlas.bits(key for key in keys if key.path == "pod" and key.family == "ipv6"))
    assert place is not None
    assert (place.labels, place.series) == ((("path", ("pod",)), ("family", ("ipv6",))), 500)


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.booleans(), st.integers(0, 9), st.floats(1.05, 3.0)), max_size=30))
@settings(max_examples=60)
def test_every_series_is_told_once_and_each_place_has_as_many_as_it_says(
    drawn: list[tuple[SeriesKey, bool, int, float]],
) -> None:
    ones = [
        told(key, change=change, onset=AT + 1800 * later, **(SUSPECT if suspect else {}))
        for key, suspect, later, change in {one[0]: one for one in drawn}.values()
    ]
    found = fold(ones, KEYS)
    assert sorted(one.subject for fold in found for one in fold.members) == sorted(one.subject for one in ones)  # type: ignore[type-var]  # series all
    for one in found:
        assert one.says(NOW)
        levels = [member.level is Level.CONFIRMED for member in one.members]
        assert levels == sorted(levels, reverse=True)
        assert (one.level is Level.CONFIRMED) == levels[0]
        if one.place is not None:
            there = [key for key in KEYS if all(getattr(key, name) in values for name, values in one.place.labels)]
            assert one.place.series == sum(key.layer == one.clauses.layer for key in there)
            assert {member.subject for member in one.members} <= set(there)
