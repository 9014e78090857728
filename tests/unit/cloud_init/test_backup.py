"""The files of backups: none without a bucket, and what the settings say with one."""

from __future__ import annotations

from typing import Any

import pytest

from cloud_init.compose import Configuration
from components.model.backup import read_bucket, refuse_to_lose_buckets
from components.model.problems import PlanError
from components.model.settings import Settings
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan

BACKUP = {
    "backup": {"url": "https://objects.acme.io:9000/webitel/a", "keep_days": 30, "at": "23:15"},
    "backup_key": "[secret]",
    "backup_secret": "[secret]",
}


def compose(stack: str, key: str, **more: Any) -> Configuration:
    settings = Settings.model_validate(load_deployment(stack).settings.model_dump(exclude_unset=True) | more)
    plan = make_plan(settings, stack)
    return compose_configuration(plan, next(node for node in plan.nodes if node.key == key), settings)


def test_without_a_bucket_nothing_is_archived_but_archiving_is_on_from_the_first_day() -> None:
    made = compose("local-single", "all-1")
    assert not any("backup" in path for path in made.files)
    assert "pgbackrest" not in made.manifest["packages"] and "backup" not in made.manifest
    later, first = made.files["/etc/webitel/patroni-dcs.json"], made.files["/etc/patroni/config.yml"]
    assert '"archive_command": "/bin/true"' in later and "archive_mode" not in later, "that would restart a running database"
    assert '"archive_mode": "on"' in first


def test_with_one_its_node_has_what_the_settings_say() -> None:
    made = compose("local-single", "all-1", **BACKUP)
    text = made.files["/etc/webitel/pgbackrest.conf"]
    for line in (
        "repo1-path=/a/local-single/postgresql",
        "repo1-s3-endpoint=objects.acme.io",
        "repo1-storage-port=9000",
        "repo1-s3-bucket=webitel",
        "repo1-retention-full=30",
        "repo1-cipher-pass={{secret:backup_cipher}}",
    ):
        assert line in text.splitlines()
    assert made.attributes["/etc/webitel/pgbackrest.conf"]["mode"] == "0640"
    assert made.manifest.get("backup") == {
        "stack": "local-single",
        "host": "objects.acme.io",
        "port": 9000,
        "at": "23:15",
        "full_days": 7,
        "verify_days": 7,
    }
    assert {"backup_key", "backup_secret", "backup_cipher"} <= set(made.secrets)
    # Debian's own unit would listen for other hosts.
    assert "pgbackrest" in made.manifest["install_units"]
    assert '"archive_mode": "on"' in made.files["/etc/webitel/patroni-dcs.json"]


def test_only_nodes_with_something_to_keep_have_the_key_and_the_way_out() -> None:
    assert not {"backup_key", "backup_cipher"} & set(compose("local-basic", "edge-1", **BACKUP).secrets)
    plan = make_plan(
        Settings.model_validate(load_deployment("aws-basic").settings.model_dump(exclude_unset=True) | BACKUP), "aws-basic"
    )
    assert {rule.role for rule in plan.egress if rule.ports == "9000"} == {"data"}


def test_a_bucket_of_its_own_is_reached_where_its_cloud_has_it() -> None:
    settings = {"region": "eu-central-1", "backup": {"bucket": "acme-webitel"}}
    made = compose("aws-basic", "data-1", **settings)
    files = made.files["/etc/webitel/pgbackrest.conf"], made.files["/etc/webitel/rclone.conf"]
    for line in (
        "repo1-path=/aws-basic/postgresql",
        "repo1-s3-endpoint=s3.eu-central-1.amazonaws.com",
        "repo1-storage-port=443",
        "repo1-s3-bucket=acme-webitel",
        "repo1-s3-region=eu-central-1",
        "repo1-s3-key={{secret:backup_key}}",
    ):
        assert line in files[0].splitlines()
    assert "endpoint = https://s3.eu-central-1.amazonaws.com:443" in files[1] and "region = eu-central-1" in files[1]
    assert {"backup_key", "backup_secret", "backup_cipher"} <= set(made.secrets)
    loaded = load_deployment("aws-basic").settings.model_dump(exclude_unset=True)
    plan = make_plan(given := Settings.model_validate(loaded | settings), "aws-basic")
    assert [rule.purposes for rule in plan.egress if rule.role == "data" and rule.ports == "443" and "backup" in rule.purposes]
    bucket = read_bucket(given, plan.facts)
    assert bucket and bucket.url == "https://s3.eu-central-1.amazonaws.com/acme-webitel"


def test_a_bucket_of_googles_is_spoken_to_in_its_own_language_and_its_log_in_is_a_file() -> None:
    made = compose("gcp-basic", "data-1", backup={"bucket": "acme-webitel"})
    lines = made.files["/etc/webitel/pgbackrest.conf"].splitlines()
    for line in ("repo1-type=gcs", "repo1-gcs-endpoint=storage.googleapis.com", "repo1-gcs-bucket=acme-webitel"):
        assert line in lines
    assert "repo1-gcs-key=/etc/webitel/backup-database.json" in lines and not [line for line in lines if "s3" in line]
    assert "service_account_file = /etc/webitel/backup-recordings.json" in made.files["/etc/webitel/rclone.conf"]
    for name in ("database", "recordings"):
        assert made.files[f"/etc/webitel/backup-{name}.json"] == "{{secret:backup_secret}}\n"
    assert "backup_secret" in made.secrets and "backup_key" not in made.secrets
    given = Settings.model_validate({"cloud": "gcp", "tier": "basic", "backup": {"bucket": "acme-webitel"}})
    plan = make_plan(given, "gcp-basic")
    assert [rule for rule in plan.egress if rule.role == "data" and rule.ports == "443" and "backup" in rule.purposes]
    bucket = read_bucket(given, plan.facts)
    assert bucket and bucket.url == "gs://acme-webitel"


def test_a_bucket_of_googles_that_is_there_is_used_on_any_cloud() -> None:
    made = compose("local-single", "all-1", backup={"url": "gs://acme/a/b"}, backup_secret="[secret]")
    assert "repo1-path=/a/b/local-single/postgresql" in made.files["/etc/webitel/pgbackrest.conf"].splitlines()
    assert "remote = bucket:acme/a/b/local-single/recordings" in made.files["/etc/webitel/rclone.conf"]


def test_a_container_of_azures_is_opened_by_a_shared_access_signature() -> None:
    url = "https://acme.blob.core.windows.net/webitel/a"
    made = compose("azure-basic", "data-1", backup={"url": url}, backup_secret="[secret]")
    lines = made.files["/etc/webitel/pgbackrest.conf"].splitlines()
    for line in (
        "repo1-type=azure",
        "repo1-path=/a/azure-basic/postgresql",
        "repo1-azure-account=acme",
        "repo1-azure-endpoint=blob.core.windows.net",
        "repo1-azure-container=webitel",
        "repo1-azure-key-type=sas",
        "repo1-azure-key={{secret:backup_secret}}",
    ):
        assert line in lines
    lines = made.files["/etc/webitel/rclone.conf"].splitlines()
    assert "sas_url = https://acme.blob.core.windows.net:443/webitel?{{secret:backup_secret}}" in lines
    assert "remote = bucket:webitel/a/azure-basic/recordings" in lines
    assert not [path for path in made.files if path.endswith(("backup-database.json", "backup-recordings.json"))]
    assert "backup_secret" in made.secrets and "backup_key" not in made.secrets


def test_what_was_made_is_not_left_behind_unsaid() -> None:
    def refuse(**backup: Any) -> None:
        refuse_to_lose_buckets(Settings.model_validate({"cloud": "aws", "tier": "single", "backup": backup}), ["acme"])

    with pytest.raises(PlanError, match=r"acme holds backups of this deployment and stays; say so: .*kept_buckets: \[acme\]"):
        refuse(bucket="other")
    with pytest.raises(PlanError, match=r"kept_buckets: \[older, acme\]"):
        refuse(kept_buckets=["older"])
    refuse(bucket="other", kept_buckets=["acme"])
    refuse(kept_buckets=["acme"])
    refuse(bucket="acme")


def test_a_bucket_in_which_nothing_expires_is_warned_of() -> None:
    settings = Settings.model_validate(
        {"cloud": "gcp", "tier": "single", **BACKUP, "backup": {"url": "https://storage.googleapis.com/acme"}}
    )
    assert [text for text in make_plan(settings, "s").warnings if "nothing expires there; use gs://acme" in text]
    settings = Settings.model_validate({"cloud": "gcp", "tier": "single", **BACKUP})
    assert not [text for text in make_plan(settings, "s").warnings if "nothing expires there" in text]
