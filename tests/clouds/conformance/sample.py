"""What the short form of these tests has of a check. It names the clouds that it is done on; `WEBITEL_TEST_LONG=1` does all.

Providers that sell machines have every check but those that cost most, which have some of them, drawn by the check's name. Of the
hypervisors, which are alike in most of it, what costs much (an `up` on the real engine and all that follows, kills,
interruptions) has one, drawn likewise; what runs in this process has all.
"""

import os
import random
from collections.abc import Collection

import pytest

from components.clouds.registry import CLOUDS

LONG = bool(os.environ.get("WEBITEL_TEST_LONG"))

SELLERS = tuple(name for name, facts in CLOUDS.items() if facts.real and facts.priced)
HYPERVISORS = tuple(name for name, facts in CLOUDS.items() if facts.real and not facts.priced)


def draw(check: str) -> tuple[str, ...]:
    """The clouds that a check which costs much is done on in the short form."""
    return (*SELLERS, random.Random(check).choice(HYPERVISORS))


def draw_some(check: str, sellers: int = 3) -> tuple[str, ...]:
    """Those for one that costs most: so many that sell machines, with the hypervisor of `draw`."""
    return (*random.Random(check).sample(SELLERS, sellers), draw(check)[-1])


def do_on(clouds: Collection[str], cloud: str, why: str) -> None:
    """Skip the test in the short form where it is not one of the clouds; `why` says why not on all of them."""
    if not LONG and cloud not in clouds:
        where = " and ".join(clouds) or "no cloud in the short form"
        pytest.skip(f"{why}, and is done on {where}: WEBITEL_TEST_LONG=1")
