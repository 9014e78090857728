"""Tags of one's own, whatever else has their names."""

import json
from pathlib import Path

import pytest

from components.clouds.registry import CLOUDS
from components.model.catalogue.tiers import TIERS
from tests.clouds.conformance.test_conformance import REAL, build

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.mark.parametrize("cloud", [name for name in REAL if CLOUDS[name].tags])
def test_a_tag_may_have_the_name_of_a_role(cloud: str, tmp_path: Path) -> None:
    """And is no resource: of an account's tag `destroy` would deprive all else that has it."""
    tags = {role.name: "voice" for role in TIERS["basic"].roles}
    made = {}
    for name, own in (("without", {}), ("with", tags)):
        (tmp_path / name).mkdir()
        made[name] = build(f"{cloud}-basic", tmp_path / name, {"tags": own})[1]
    names = {which: {(one.type, one.name) for one in found} for which, found in made.items()}
    assert names["with"] == names["without"]
    worn = json.dumps([one.inputs for one in made["with"]])
    assert all(any(form in worn for form in (f'"{name}": "voice"', *(f'"{name}{sign}voice"' for sign in ":-="))) for name in tags)
