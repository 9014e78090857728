"""The record of what was run under real programs names files that there are, and notices a change."""

from pathlib import Path

import pytest

from tests.lint import real_programs
from tests.lint.real_programs import LAYOUTS, RECORD, Run, changed_since, read_record, rendered, write_down

WANTED = (
    "/etc/opensips/opensips.cfg",
    "/etc/opensips/routes.cfg",
    "/usr/share/webitel/bundles/opensips/routes.cfg",
    "/etc/rtpengine/rtpengine.conf",
    "/usr/share/webitel/bundles/freeswitch/dialplan.xml",
)
"""What our own stand-ins read in the sandbox, so that nothing else would notice a mistake in it."""


PAIR = (
    "/etc/opensips/opensips.cfg",
    "/etc/opensips/routes.cfg",
    "/etc/opensips/dispatcher.sql",
    "/etc/rtpengine/rtpengine.conf",
    "/etc/redis/redis.conf",
)
"""What two edges render in another way than one node, and what those programs read."""


def test_every_row_is_of_a_file_that_is_rendered() -> None:
    record = read_record()
    for layout in LAYOUTS:
        now = rendered(layout)
        assert [run.path for run in record if run.layout == layout and run.path not in now] == []
    for layout, wanted in (("one node", WANTED), ("two edges", PAIR)):
        assert set(wanted) <= {run.path for run in record if run.layout == layout}


def test_two_edges_read_other_files_than_one_node() -> None:
    one, two = rendered("one node"), rendered("two edges")
    assert all(one[path] != two[path] for path in PAIR if path in one)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_changed_file_is_named(monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    path, digest = next(iter(rendered(layout).items()))
    runs = [Run(path, layout, "a program", "2026-11-28", digest)]
    monkeypatch.setattr(real_programs, "read_record", lambda: runs)
    assert changed_since() == []
    runs[0] = Run(path, layout, "a program", "2026-11-28", "0" * 16)
    assert changed_since() == runs


def test_a_run_takes_the_place_of_the_same_layouts_and_of_no_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = tmp_path / RECORD.name
    copy.write_text(RECORD.read_text())
    monkeypatch.setattr(real_programs, "RECORD", copy)
    path = PAIR[0]
    kept = [run for run in read_record() if (run.path, run.layout) != (path, "two edges")]
    write_down("a program", "2026-11-30", "two edges", [path])
    assert [run for run in read_record() if run not in kept] == [
        Run(path, "two edges", "a program", "2026-11-30", rendered("two edges")[path])
    ]
    assert set(kept) < set(read_record())
    for layout, asked in (("three edges", path), ("two edges", "/etc/nothing")):
        with pytest.raises(SystemExit, match=asked if layout in LAYOUTS else layout):
            write_down("a program", "2026-11-30", layout, [asked])
