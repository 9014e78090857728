"""What a program ignores is no change of a thing that was read."""

import pytest

from provider.ignored import keep_ignored
from provider.values import Properties

FOUND: Properties = {"size": 2, "disks": [{"from": "a", "size": 1}], "meta": {"start-up": "x", "name": "n"}, "network": ""}
GIVEN: Properties = {"size": 3, "disks": [{"from": "b", "size": 9}], "meta": {"start-up": "y", "name": "m"}, "network": "lan"}


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("network", {"network": ""}),
        ("disks[0].from", {"disks": [{"from": "a", "size": 9}]}),
        ('meta["start-up"]', {"meta": {"start-up": "x", "name": "m"}}),
        ("meta", {"meta": FOUND["meta"]}),
        ("disks[1].from", {}),
        ("size.of.what", {}),
    ],
)
def test_the_old_value_is_kept_at_a_path(path: str, changed: Properties) -> None:
    assert keep_ignored(FOUND, GIVEN, [path]) == GIVEN | changed


def test_what_was_not_there_is_not_there() -> None:
    assert keep_ignored({}, GIVEN, ["network", "meta.name"]) == {
        name: value for name, value in GIVEN.items() if name != "network"
    }
