"""What the short form of these tests has of a check. It names the clouds that it is done on; `WEBITEL_TEST_LONG=1` does all.

Every cloud that sells machines, and of the hypervisors, which are alike in most of it, one a tier, has each tier on the real
engine: made, found unchanged by a second preview, and destroyed. What comes after that (day two, power, kills, interruptions)
costs most: each check of it is done on one cloud or a few, which are dealt in turn, so that each has its share. What runs in this
process has all clouds, but for planted bugs, of which some are drawn, and for what is slow there too.
"""

import itertools
import random
from collections.abc import Collection, Mapping, Sequence

import pytest

from components.clouds.registry import CLOUDS
from tests.long_form import LONG

SELLERS = tuple(name for name, facts in CLOUDS.items() if facts.real and facts.priced)
HYPERVISORS = tuple(name for name, facts in CLOUDS.items() if facts.real and not facts.priced)


def draw(check: str) -> tuple[str, ...]:
    """Every cloud that sells machines, and a hypervisor."""
    return (*SELLERS, random.Random(check).choice(HYPERVISORS))


def deal(what: str, checks: Mapping[str, int], clouds: Sequence[str] = ()) -> Mapping[str, tuple[str, ...]]:
    """The clouds of each check, as many as it says, of those given, or drawn for what they are checks of: all in turn."""
    among = clouds or draw(what)
    turn = itertools.cycle(random.Random(what).sample(among, len(among)))
    return {check: tuple(itertools.islice(turn, number)) for check, number in checks.items()}


def do_on(clouds: Collection[str], cloud: str, why: str) -> None:
    """Skip the test in the short form where it is not one of the clouds; `why` says why not on all of them."""
    if not LONG and cloud not in clouds:
        where = " and ".join(clouds) or "no cloud in the short form"
        pytest.skip(f"{why}, and is done on {where}: WEBITEL_TEST_LONG=1")
