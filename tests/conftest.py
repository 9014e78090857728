"""What all tests have in common."""

import gc
import re
from pathlib import Path

import pytest

MARKS = re.compile(r"^pytestmark = (\[[^\]]*\]|.*)$", re.MULTILINE)
WITHOUT = re.compile(r"not \w+( and not \w+)*")
"""A choice that only leaves parts out, as the default does."""

# What is read stays: a third of the time that reading takes would go into looking for what may be given up.
gc.disable()


def pytest_collection_finish() -> None:
    """Have what tests leave behind given up, and nothing looked through again that stays."""
    gc.freeze()
    gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a file unread whose tests are all of a part that is left out: a third of them, and reading takes seconds."""
    chosen = config.option.markexpr
    named = {Path(word.partition("::")[0]).absolute() for word in config.args}
    if not collection_path.name.startswith("test_") or collection_path in named or not WITHOUT.fullmatch(chosen):
        return None
    found = MARKS.search(collection_path.read_text())
    marks = re.findall(r"pytest\.mark\.(\w+)", found[1]) if found else []
    return True if set(marks) & set(chosen.split()) else None
