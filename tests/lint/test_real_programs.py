"""The record of what was run under real programs names files that there are, and notices a change."""

import pytest

from tests.lint import real_programs
from tests.lint.real_programs import Run, changed_since, read_record, rendered

WANTED = (
    "/etc/opensips/opensips.cfg",
    "/etc/opensips/routes.cfg",
    "/usr/share/webitel/bundles/opensips/routes.cfg",
    "/etc/rtpengine/rtpengine.conf",
    "/usr/share/webitel/bundles/freeswitch/dialplan.xml",
)
"""What our own stand-ins read in the sandbox, so that nothing else would notice a mistake in it."""


def test_every_row_is_of_a_file_that_is_rendered() -> None:
    now = rendered()
    assert [run.path for run in read_record() if run.path not in now] == []
    assert set(WANTED) <= {run.path for run in read_record()}


def test_a_changed_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    path, digest = next(iter(rendered().items()))
    runs = [Run(path, "a program", "2026-11-28", digest)]
    monkeypatch.setattr(real_programs, "read_record", lambda: runs)
    assert changed_since() == []
    runs[0] = Run(path, "a program", "2026-11-28", "0" * 16)
    assert changed_since() == runs
