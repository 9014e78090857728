"""The long form of the tests: `WEBITEL_TEST_LONG=1 ./webitel test ...` does what the short one has no time for."""

import os

import pytest

LONG = bool(os.environ.get("WEBITEL_TEST_LONG"))


def only_long(why: str) -> pytest.MarkDecorator:
    """Leave a test to the long form; `why` is what the short one would pay for it, or lose by it."""
    return pytest.mark.skipif(not LONG, reason=f"{why}: WEBITEL_TEST_LONG=1")
