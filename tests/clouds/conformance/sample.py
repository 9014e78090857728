"""What the short form of these tests has of a check. It names the clouds that it is done on; `WEBITEL_TEST_LONG=1` does all."""

import os
from collections.abc import Collection

import pytest

LONG = bool(os.environ.get("WEBITEL_TEST_LONG"))


def do_on(clouds: Collection[str], cloud: str, why: str) -> None:
    """Skip the test in the short form where it is not one of the clouds; `why` says why not on all of them."""
    if not LONG and cloud not in clouds:
        where = " and ".join(clouds) or "no cloud in the short form"
        pytest.skip(f"{why}, and is done on {where}: WEBITEL_TEST_LONG=1")
