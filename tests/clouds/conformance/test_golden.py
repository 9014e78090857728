"""First previews of the committed cloud stacks against the reviewed ones in `tests/golden/`."""

from __future__ import annotations

import difflib
import json

import pytest

from tests.clouds.conformance.golden import GOLDEN, STACKS, golden_file, preview, to_text

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.mark.parametrize("stack", STACKS)
def test_preview_is_the_reviewed_one(stack: str) -> None:
    reviewed, now = golden_file(stack).read_text(), to_text(preview(stack))
    json.loads(now)
    changes = difflib.unified_diff(reviewed.splitlines(), now.splitlines(), "reviewed", "now", lineterm="", n=1)
    assert reviewed == now, "\n".join([*changes, "if meant: python -m tests.clouds.conformance.golden, and review the diff"])


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(STACKS)
