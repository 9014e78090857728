"""An encryption key of one's own for disks: how each cloud names one, and where it must lie."""

import pytest

from components.clouds.registry import CLOUDS

TAKING = {name: facts.disk_keys for name, facts in CLOUDS.items() if facts.disk_keys}


def test_three_clouds_take_one() -> None:
    assert sorted(TAKING) == ["aws", "azure", "gcp"]


@pytest.mark.parametrize("cloud", sorted(TAKING))
def test_the_example_is_right(cloud: str) -> None:
    keys, region = TAKING[cloud], CLOUDS[cloud].best_region
    assert keys.explain(keys.example.format(region=region), region) == ""


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_a_key_of_another_region_is_refused(cloud: str) -> None:
    keys, region = TAKING[cloud], CLOUDS[cloud].best_region
    assert "its region is us-west1" in keys.explain(keys.example.format(region="us-west1"), region)


def test_google_takes_a_global_one_everywhere() -> None:
    assert TAKING["gcp"].explain("projects/p/locations/global/keyRings/r/cryptoKeys/k", "europe-west3") == ""


@pytest.mark.parametrize(
    ("cloud", "key"),
    [
        ("aws", "alias/webitel"),
        ("aws", "arn:aws:kms:eu-central-1:123456789012:alias/webitel"),
        ("aws", "1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("gcp", "https://cloudkms.googleapis.com/v1/projects/p/locations/global/keyRings/r/cryptoKeys/k"),
        ("gcp", "projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"),
        ("azure", "disks"),
        ("azure", "https://vault.vault.azure.net/keys/disks/1"),
    ],
)
def test_what_is_no_key_gets_an_example(cloud: str, key: str) -> None:
    said = TAKING[cloud].explain(key, CLOUDS[cloud].best_region)
    assert said.startswith("not a key; use one such as ")
