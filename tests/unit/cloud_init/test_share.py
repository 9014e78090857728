"""What a share of the recordings does to a node's configuration: the mount, what hangs on it, and who is led where."""

from typing import Any

import pytest

from cloud_init.compose import Configuration, compose_user_data
from components.model.settings import Settings
from tests.plans import compose_configuration, make_plan

MOUNT = "/etc/systemd/system/var-lib-webitel-share.mount"
DROP_IN = "/etc/systemd/system/storage.service.d/webitel.conf"
NFS = {"source": "10.3.0.4:/webitel", "options": "nfsvers=4.1"}
BIND = {"source": "/srv/recordings", "type": "bind"}


def settings(share: dict[str, str], **values: Any) -> Settings:
    return Settings.model_validate(
        {"cloud": "aws", "tier": "extended", "counts": {"storage": 2}, "recordings_share": share, **values}
    )


def configure(given: Settings, key: str) -> Configuration:
    plan = make_plan(given, "s")
    return compose_configuration(plan, plan.node(key), given)


def test_storage_never_runs_without_its_share() -> None:
    made = configure(settings(NFS), "storage-2")
    drop_in = made.files[DROP_IN].splitlines()
    for line in (
        "RequiresMountsFor=/var/lib/webitel/share",
        "BindsTo=var-lib-webitel-share.mount",
        "BindsTo=webitel-locks.service",
        "ExecStartPre=+/usr/local/sbin/webitel-node wait disk:/var/lib/webitel/share",
    ):
        assert line in drop_in
    waits = drop_in.index("ExecStartPre=+/usr/local/sbin/webitel-node wait disk:/var/lib/webitel/share")
    assert all(waits < drop_in.index(line) for line in drop_in if "/usr/bin/mkdir" in line), "nothing is made on the boot disk"
    written = [line for line in made.files["/etc/webitel/storage.env"].splitlines() if "/var/lib/webitel" in line]
    assert len(written) == 3 and all("/var/lib/webitel/share/storage/" in line for line in written)
    assert made.manifest["disks"] == [] and {one["disk"] for one in made.manifest["directories"]} == {"share"}
    assert made.manifest["share"] == {
        "source": "10.3.0.4:/webitel",
        "mount": "/var/lib/webitel/share",
        "unit": "var-lib-webitel-share.mount",
    }


def test_a_network_file_system_is_mounted_by_a_unit_when_the_network_is_there() -> None:
    mount = configure(settings(NFS), "storage-1").files[MOUNT]
    for line in ("What=10.3.0.4:/webitel", "Where=/var/lib/webitel/share", "Type=nfs4", "Options=_netdev,nfsvers=4.1"):
        assert line in mount.splitlines()
    assert "Assert" not in mount


def test_of_a_folder_something_must_be_mounted_there() -> None:
    made = configure(settings(BIND), "storage-1")
    lines = made.files[MOUNT].splitlines()
    assert "AssertPathIsMountPoint=/srv/recordings" in lines and "Type=none" in lines and "Options=bind" in lines
    assert not any("rpcbind" in path for path in made.files)


def test_its_package_comes_with_the_boot_and_opens_nothing() -> None:
    given = settings(NFS)
    plan = make_plan(given, "s")
    node = plan.node("storage-1")
    made = compose_configuration(plan, node, given)
    assert "nfs-common" in made.manifest["packages"] and '"nfs-common"' in compose_user_data(plan, node, given).decoded
    for unit in ("rpcbind.service", "rpcbind.socket"):
        # Seen on a container: with its socket's ports taken away the program opens 111 itself.
        assert "ConditionPathExists=!/" in made.files[f"/etc/systemd/system/{unit}.d/webitel.conf"].splitlines()
    others = compose_configuration(plan, plan.node("db-1"), given)
    assert "nfs-common" not in others.manifest["packages"] and MOUNT not in others.files and "share" not in others.manifest


def test_whoever_runs_storage_has_the_identity_of_the_first() -> None:
    for key in ("storage-1", "storage-2"):
        made = configure(settings(NFS), key)
        assert "ID=301" in made.files["/etc/webitel/storage.env"].splitlines()
        (service,) = [one for one in made.manifest["services"] if one["name"] == "storage"]
        assert [one["key"] for one in service["candidates"]] == ["storage-1", "storage-2"]
        (entry,) = [probe for probe in service["probes"] if probe["kind"] == "consul_entry"]
        assert entry["id"] == "storage-301" and entry["address"] == f"{{{{address:{key}}}}}"
    web = Settings.model_validate({"cloud": "aws", "tier": "extended", "counts": {"web": 2}, "recordings_share": NFS})
    assert "SERVICE_ID=502" in configure(web, "web-2").files["/etc/webitel/logger.env"], "what leaves no marks has its node's own"


@pytest.mark.parametrize("count", [1, 2])
def test_callers_are_led_to_where_it_runs(count: int) -> None:
    given = settings(NFS, counts={"storage": count})
    media, web, storage = (configure(given, key) for key in ("media-1", "web-1", "storage-1"))
    assert 'cdr_url=127.0.0.1:10021"' in media.files["/etc/freeswitch/vars.xml"], "a raised count restarts no FreeSWITCH"
    section = media.files["/etc/haproxy/haproxy.cfg"].partition("listen storage-internal\n")[2]
    assert "bind 127.0.0.1:10021" in section and section.count(":10021") == 1 + count
    for configuration in (web, storage):
        assert "10021" not in configuration.files["/etc/haproxy/haproxy.cfg"], "no caller of it stands there"
    site = web.files["/etc/nginx/sites-enabled/default"]
    assert [f"{{{{address:storage-{n}}}}}:10023" in site for n in (1, 2)] == [True, count == 2]


def test_without_a_share_nothing_of_it_is_there() -> None:
    given = Settings.model_validate({"cloud": "aws", "tier": "extended"})
    made = configure(given, "storage-1")
    assert MOUNT not in made.files and "share" not in made.manifest and "share" not in made.files[DROP_IN]
    assert "cdr_url={{address:storage-1}}:10021" in configure(given, "media-1").files["/etc/freeswitch/vars.xml"]
