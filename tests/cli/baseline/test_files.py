"""`prober baseline export` and `import`, comparing files, `accept` and `delete`."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from prober.baseline.file import read_all, write_all
from prober.baseline.values import HOUR
from prober.cli.main import main
from tests.support.baselines import FOUND, LATER, MONDAY, WINDOW, Ask, Change, Kept, keys, made, origin


def test_files_are_compared_without_any_prober(look: Ask, tmp_path: Path) -> None:
    old, new = tmp_path / "old.baseline", tmp_path / "new.baseline"
    assert look("export", "cilium-1.17.3", "-f", str(old))[0] == 0
    code, out, err = look("export", "now", *LATER, "-f", str(new))
    assert (code, out) == (0, "")
    assert err.startswith(f"{new}: 8 series of node-a, 7 Jan 02:00 – 7 Jan 12:00 2026 (10 h), 8 series of node-b, ")
    code, out, _ = look("compare", str(old), str(new), only=[])
    assert code == 1
    assert FOUND.search(out)


def test_what_the_slower_vantages_have_in_common_is_told_from_their_recordings(ask: Ask, tmp_path: Path) -> None:
    """Four nodes, of which two were upgraded to another kernel."""
    since, series = MONDAY + 30 * HOUR, keys("tls")[:2]
    kernels = {"node-a": "6.12.8", "node-b": "6.12.8", "node-c": "6.8.0", "node-d": "6.8.0"}

    def slower(name: str) -> Change:
        return lambda _key, _start: 1.18 if kernels[name] == "6.12.8" else 1.0

    paths = [tmp_path / "old.baseline", tmp_path / "new.baseline"]
    paths[0].write_bytes(write_all([made(MONDAY, 30, origin(name, kernel="6.8.0"), series=series) for name in kernels]))
    later = [
        made(since, 8, origin(name, kernel=kernel), slower(name), label="now", series=series)
        for name, kernel in kernels.items()
    ]
    paths[1].write_bytes(write_all(later))
    code, out, err = ask("compare", *map(str, paths), only=[])
    assert (code, err) == (1, "")
    said = " ".join(out.split())
    assert re.search(
        r"✗ tls 1[789] % slower on 2 of 4 vantages \(4 of 8 series\), since 6 Jan 0\d:00, on nodes with kernel 6\.12\.",
        said,
    ), out


def test_files_of_other_vantages_are_nothing_to_compare_with(ask: Ask, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("ab.baseline", "cd.baseline")]
    for path, names in zip(paths, ("ab", "cd"), strict=True):
        path.write_bytes(write_all([made(MONDAY, 25, origin(name)) for name in names]))
    code, _, err = ask("compare", *map(str, paths), only=[])
    assert (code, err) == (3, "prober: nothing to compare with: healthy v1 is of a, b, healthy v1 of c, d\n")


def test_two_recordings_of_one_vantage_are_not_mixed_up(look: Ask, tmp_path: Path) -> None:
    path = tmp_path / "twice.baseline"
    path.write_bytes(write_all([made(MONDAY, 25, origin("node-a")), made(MONDAY, 26, origin("node-a"))]))
    code, _, err = look("compare", str(path), "now", *LATER)
    assert (code, err) == (2, "prober: healthy v1 has several recordings of node-a: one of each is wanted\n")


def test_an_export_has_a_name_and_writes_over_nothing_unasked(
    look: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert look("export", "cilium-1.17.3")[0] == 0
    written = Path("cilium-1.17.3.baseline")
    assert [one.origin.vantage for one in read_all(written.read_bytes())] == ["node-a", "node-b"]
    code, _, err = look("export", "cilium-1.17.3")
    assert (code, err) == (2, f"prober: {written} is there already: -f {written} writes over it\n")
    assert look("export", "cilium-1.17.3", "-f", str(written))[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == [written.name]


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing_behind(look: Ask, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    code, _, err = look("export", "cilium-1.17.3", "-f", str(tmp_path / "taken"))
    assert (code, err) == (2, f"prober: {tmp_path / 'taken'} can't be written: Is a directory\n")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_an_export_goes_to_stdout_and_nothing_else_does(
    known: list[Kept], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    command = ["baseline", "export", "now", *LATER, "-f", "-", "--url", known[0].url]
    assert main(command) == 0
    said = capfdbinary.readouterr()
    assert said.err == b""
    assert read_all(said.out)[0].label == "now"
    assert main([*command, "--from", "2025-01-01", "--to", "2025-01-02"]) == 3


def test_an_imported_baseline_goes_to_the_prober_of_its_vantage(ask: Ask, tmp_path: Path, probers: list[Kept]) -> None:
    path = tmp_path / "both.baseline"
    path.write_bytes(write_all([made(MONDAY, 25, origin(name), label="old") for name in ("node-b", "node-a")]))
    code, out, err = ask("import", str(path))
    assert (code, err) == (0, "")
    assert out == "✓ old v1 of node-a\n✓ old v1 of node-b\nnot active by that: prober baseline accept old\n"
    assert [one.store.list().result()[0].origin.vantage for one in probers] == ["node-a", "node-b"]


def test_an_import_that_nobody_is_meant_by_or_that_is_no_baseline_is_refused(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "x.baseline"
    path.write_bytes(write_all([made(MONDAY, 25, origin(name)) for name in ("node-a", "node-z")]))
    code, _, err = ask("import", str(path))
    assert (code, "nobody here is node-z: these probers are node-a, node-b" in err) == (2, True)
    path.write_bytes(path.read_bytes()[:-20])
    code, _, err = ask("import", str(path))
    assert (code, f"{path} is no baseline: line " in err) == (2, True)
    path.write_bytes(write_all([made(MONDAY, 25, origin("node-a"), label="now")]))
    assert "a window of now is no baseline" in ask("import", str(path))[2]


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def test_accepting_tells_old_against_new_and_asks(
    ask: Ask, probers: list[Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("record", "--label", "cilium-1.17.3", *WINDOW)
    ask("record", "--label", "new", "--from", "2026-01-05T12:00Z", "--to", "2026-01-07T12:00Z")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, out, err = ask("accept", "new")
    assert (code, err) == (2, "prober: there is no terminal to ask at: --yes does it without asking\n")
    assert out.startswith("before  cilium-1.17.3 v1 at 2 vantages\n")
    assert "after   new v1 at 2 vantages\n" in out
    assert "prober baseline accept" not in out  # it is what is being done
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    code, out, err = ask("accept", "new")
    assert (code, err) == (1, "watch by new v1 from now on, at node-a, node-b? [y/N] ")
    assert [one.active for one in probers[0].store.list().result()] == [8, 0]
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    code, out, _ = ask("accept", "new")
    assert code == 0
    assert out.endswith("✓ new v1 is active at node-a\n✓ new v1 is active at node-b\n")
    assert [one.active for one in probers[1].store.list().result()] == [0, 8]
    assert ask("accept", "new") == (0, "new v1 is active already\n", "")


def test_the_first_baseline_that_is_accepted_has_none_to_be_compared_with(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "old.baseline"
    path.write_bytes(write_all([made(MONDAY, 25, origin(name), label="old") for name in ("node-a", "node-b")]))
    ask("import", str(path))
    code, out, err = ask("accept", "old", "--yes")
    assert (code, err) == (0, "prober: no other baseline is active: nothing to compare with\n")
    assert out == "✓ old v1 is active at node-a\n✓ old v1 is active at node-b\n"


def test_the_active_baseline_is_only_deleted_by_force(ask: Ask, probers: list[Kept]) -> None:
    ask("record", "--label", "cilium-1.17.3", *WINDOW)
    code, _, err = ask("delete", "cilium-1.17.3", "--yes")
    assert code == 2
    assert "cilium-1.17.3 v1 is active for 8 series at node-a: accept another one first, or --force" in err
    code, out, _ = ask("delete", "cilium-1.17.3@1", "--yes", "--force")
    assert (code, out) == (0, "deleted cilium-1.17.3 v1 at node-a\ndeleted cilium-1.17.3 v1 at node-b\n")
    assert probers[0].store.list().result() == ()
