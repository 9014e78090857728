"""`onprem` for real: hosts that somebody else made, outside Pulumi and as plain Debian, taken, changed and left as they were."""

import json
from collections.abc import Iterator

import pytest

from tests.local.conftest import Figure
from tests.local.owner import USER
from tests.local.rack import DATA, Rack, list_files, make_rack
from tests.long_form import only_long

pytestmark = pytest.mark.local

OF_USERS = {f"/etc/{name}{old}" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid") for old in ("", "-")}
"""Packages stay, and with them their users."""
PACKAGES_CHANGE = {"/etc/ld.so.cache", "/etc/mailcap", "/etc/ca-certificates.conf", "/etc/shells"}
"""What packages add themselves to."""


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """One host with everything on it."""
    for made in make_rack(tmp_path_factory, "single"):
        made.add("all-1", 20)
        made.choose("all-1")
        yield made


def test_a_host_is_taken_and_healthy(rack: Rack, figure: Figure) -> None:
    host = rack.hosts["all-1"]
    done = rack.deployment.up("--yes")
    figure("up on a given host", done.seconds)
    assert rack.deployment.status()["healthy"]
    # What is the owner's stays the owner's.
    assert host.run("hostname; cat /etc/hostname").split() == [host.name, host.name]
    assert host.run("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub") == host.host_key
    assert rack.owner.key.with_suffix(".pub").read_text().split()[1] in host.run(f"cat /home/{USER}/.ssh/authorized_keys")
    assert host.run(f"ls -A {DATA}/database {DATA}/recordings").count(".webitel-disk") == 2
    # Its own name leads to it, and nobody asks a name server for it.
    assert host.address in host.run(f"getent hosts {host.name}")


def test_a_second_up_changes_nothing(rack: Rack, figure: Figure) -> None:
    before = rack.deployment.units()
    done = rack.deployment.up("--json", "--yes")
    figure("up on a given host with nothing to change", done.seconds)
    assert set(json.loads(done.output)["changes"]) <= {"same", "read"}
    assert rack.deployment.units() == before


def test_nothing_has_drifted_but_what_somebody_changes(rack: Rack) -> None:
    rack.deployment.webitel("drift", rack.deployment.name)
    rack.hosts["all-1"].run(f"echo 'ssh-ed25519 AAAAC3Nz stranger' >>/home/{USER}/.ssh/authorized_keys")
    said = rack.deployment.webitel("drift", rack.deployment.name, status=2).said
    assert "lets in keys that are not the deployment's: 1" in " ".join(said.split())
    rack.hosts["all-1"].run(f"sed -i /stranger/d /home/{USER}/.ssh/authorized_keys")


def test_a_setting_changes_what_it_concerns(rack: Rack) -> None:
    before = rack.deployment.units()
    rack.deployment.set(upload_limit_mib=65)
    changes = json.loads(rack.deployment.up("--json", "--yes").output)["changes"]
    assert not {"create", "replace", "delete"} & set(changes), changes
    after = rack.deployment.units()
    assert {name for name in before if before[name]["MainPID"] != after[name]["MainPID"]} == set()
    assert "65m" in rack.hosts["all-1"].run("grep -rh client_max_body_size /etc/nginx")


def test_the_host_is_left_as_it_was(rack: Rack) -> None:
    host = rack.hosts["all-1"]
    done = rack.deployment.webitel("destroy", rack.deployment.name, "--yes")
    assert "what stays here: the data of database" in " ".join(done.said.split()), done.said
    after = list_files(host)
    lost = {path for path in rack.before["all-1"] if after.get(path) != rack.before["all-1"][path]}
    assert lost <= OF_USERS | PACKAGES_CHANGE, sorted(lost - OF_USERS - PACKAGES_CHANGE)
    of_packages = set(host.run("cat /var/lib/dpkg/info/*.list").splitlines())
    new = after.keys() - rack.before["all-1"].keys() - of_packages
    assert sorted(path for path in new if "webitel" in path.lower()) == []
    assert "rack-20" in host.run("cat /etc/hosts")
    assert host.run("nft list ruleset") == ""
    ours = "'webitel*' 'patroni*' 'rabbitmq*' 'opensips*' 'freeswitch*' 'consul*' 'nginx*'"
    assert host.run(f"systemctl list-units --state=running --plain --no-legend {ours}") == ""
    assert "webitel" not in host.run(f"cat /home/{USER}/.ssh/authorized_keys")
    assert host.run(f"ls -A {DATA}/database {DATA}/recordings").count(".webitel-disk") == 2


@pytest.fixture(scope="module")
def racks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """Three hosts, of which two have spare ones beside them."""
    for made in make_rack(tmp_path_factory, "basic"):
        for place, key in enumerate(("data-1", "app-1", "edge-1"), 20):
            made.add(key, place)
        made.choose("data-1", "app-1", "edge-1")
        yield made


@only_long("five hosts")
def test_a_host_more_another_one_and_one_fewer(racks: Rack) -> None:
    deployment = racks.deployment
    deployment.up("--yes")
    racks.add("app-2", 24)
    racks.choose("data-1", "app-1", "app-2", "edge-1")
    changes = json.loads(deployment.up("--json", "--yes").output)["changes"]
    assert not {"replace", "delete"} & set(changes), changes
    assert deployment.status()["healthy"]
    # The host of app-2 is another one from now on: the old one is left, the new one taken.
    old = racks.hosts["app-2"]
    racks.hosts["app-2"] = racks.owner.make("app-2b", 25)
    racks.choose("data-1", "app-1", "app-2", "edge-1")
    deployment.up("--yes")
    assert deployment.status()["healthy"]
    assert old.run("ls /var/lib/webitel/host.json 2>&1", check=False).endswith("No such file or directory")
    deployment.webitel("scale", "app", "1", deployment.name, "--yes")
    assert deployment.status()["healthy"]
    assert racks.hosts["app-2"].run("ls /var/lib/webitel/host.json 2>&1", check=False).endswith("No such file or directory")
