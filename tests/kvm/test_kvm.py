"""KVM by libvirt for real: the real engine, SDK and provider, Debian's libvirtd and QEMU, and a Debian that boots. What makes the
machine is our program as a user runs it, `./webitel`, with nothing of it left out but what nodes are given after they were met.

Without KVM: QEMU emulates. So the machine is of another kind (`qemu`, by the provider's own variable), has one CPU of a model of
QEMU's (`webitel:site`) and less memory than the tier has. Steps of one deployment, in order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from typer.testing import Result

from cli.commands.drift import DRIFT_STATUS
from cli.develop.parts import PACKAGES
from components.clouds.libvirt.adoption import domain_id
from components.clouds.libvirt.facts import FACTS
from components.model.clouds.facts import Refusal
from tests.clouds.conformance.command import OWN, command_line
from tests.clouds.conformance.conftest import Live
from tests.clouds.conformance.engine import Deployment, EngineError
from tests.kvm.debian import make_image
from tests.kvm.host import OPERATOR, Host, kvm_host, own_network
from tests.kvm.nodes import make_provider, run_on
from tests.kvm.plugin import install_plugin
from tests.long_form import only_long
from tests.simulator.simulators import Simulators
from tools.engine.find import find_engine
from tools.host.apt import find_missing

pytestmark = [pytest.mark.kvm, only_long("machines are emulated: a quarter of an hour")]

STACK, KEY = "libvirt-single", "all-1"
NAME = f"{STACK}-{KEY}"
IMAGE = "debian-12-genericcloud-amd64.qcow2"
SMALL, LARGER, TOO_LARGE = "1x2", "1x3", "1x4096"
SETTINGS = {**OWN, "operators": [f"{OPERATOR}/32"], "site": {"network": "webitel", "cpu": "qemu64"}}
RUN_SECONDS = 3600
MARK = "/mnt/kept"


@dataclass
class Made:
    """The deployment and the host that it stands on."""

    host: Host
    deployment: Deployment
    live: Live

    def configure(self, machine: str) -> None:
        """The settings, with a machine of a size."""
        self.deployment.configure({**SETTINGS, "machine_types": {"all": machine}})
        self.deployment.run("config", "set", "libvirt:uri", self.host.uri)

    def webitel(self, *words: str, typed: str = "", status: int = 0) -> Result:
        """Run our command line, with the real `virsh`; it has to end with that exit status."""
        path = os.environ["PATH"]
        with command_line(self.live) as run, pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", path)
            ran = run(*words, typed=typed)
        assert ran.exit_code == status, f"{ran.output}\n{ran.exception}\n{self.host.told()}"
        return ran

    def node(self, command: str) -> str:
        """What a command prints on the node."""
        return run_on(self.deployment, command).strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    if os.geteuid():
        pytest.fail("a network and mounts of its own take root: sudo env WEBITEL_TEST_LONG=1 ./webitel test kvm")
    if missing := find_missing(PACKAGES["kvm"]):
        pytest.fail(f"missing: {' '.join(missing)}; `./webitel test kvm` installs them")
    folder, engine, image = tmp_path_factory.mktemp("kvm"), find_engine(print), make_image(print)
    with own_network(), kvm_host(folder / "host", image) as host, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERRAFORM_LIBVIRT_TEST_DOMAIN_TYPE", "qemu")
        patch.setattr("tools.engine.find.find_engine", lambda progress: engine)
        simulators = Simulators(folder / "world", ())
        provider = make_provider(simulators.world)
        try:
            deployment = Deployment(engine, folder / "project", STACK, f"{provider.name}:{provider.start()}")
            deployment.seconds = RUN_SECONDS
            install_plugin(folder / "project/home", print)
            yield Made(host, deployment, Live(deployment, simulators))
        finally:
            provider.stop(0)
            simulators.stop()


def test_a_machine_that_does_not_start_blocks_no_later_run(made: Made) -> None:
    made.configure(TOO_LARGE)
    with pytest.raises(EngineError) as failed:
        made.deployment.up()
    assert re.search(FACTS.refusals[Refusal.CAPACITY], str(failed.value)), failed.value
    assert made.host.virsh("domstate", NAME).strip() == "shut off"
    assert made.host.virsh("domuuid", NAME).strip() == domain_id(NAME)
    made.configure(SMALL)
    made.webitel("up", STACK, "--yes")
    assert made.host.virsh("domstate", NAME).strip() == "running"


def test_the_guest_is_what_was_planned(made: Made) -> None:
    assert made.node("hostname") == NAME
    assert "status: done" in made.node("cloud-init status")
    assert "10.20.0.10/20" in made.node("ip -brief address show eth0")
    assert "<graphics" not in made.host.virsh("dumpxml", NAME)
    shown = made.node("lsblk --bytes --nodeps --noheadings --output SIZE $(readlink -f /dev/disk/by-id/wwn-*)")
    assert sorted(map(int, shown.split())) == [100 << 30, 200 << 30]
    device = disk(made)
    made.node(f"mkfs.ext4 -q {device} && mkdir {MARK} && mount {device} {MARK} && echo kept >{MARK}/it && umount {MARK}")
    assert read_mark(made) == "kept"


def test_a_second_run_changes_nothing(made: Made) -> None:
    assert list_changed(made) == []
    assert "No drift" in made.webitel("drift", STACK, "--no-nodes").output
    assert made.deployment.refresh() == [KEY], "of the machine, what facts/onprem.md 6.11 says"
    assert list_changed(made) == []
    before = made.deployment.known()
    made.webitel("up", STACK, "--yes")
    assert made.deployment.known() == before


def test_a_machine_that_is_off_is_named_and_started(made: Made) -> None:
    made.host.virsh("destroy", NAME)
    assert f"{KEY} machine: is shut off" in made.webitel("drift", STACK, "--no-nodes", status=DRIFT_STATUS).output
    made.webitel("up", STACK, "--repair", "--yes")
    assert made.host.virsh("domstate", NAME).strip() == "running"
    assert read_mark(made) == "kept"


def test_another_size_keeps_the_disks(made: Made) -> None:
    machine = made.node("cat /etc/machine-id")
    made.configure(LARGER)
    made.webitel("up", STACK, "--yes")
    assert made.node("cat /etc/machine-id") == machine
    assert int(made.node("awk '/MemTotal/ {print $2}' /proc/meminfo")) > 2 << 20
    assert read_mark(made) == "kept"


def test_a_replaced_machine_keeps_its_disk(made: Made) -> None:
    before = made.host.volumes()
    made.node("touch /root/before")
    made.webitel("replace", KEY, "--stack", STACK, "--yes")
    assert made.node("ls /root") == "", "the boot disk is another one; the machine's id is the UUID that it has for good"
    assert read_mark(made) == "kept"
    after = made.host.volumes()
    assert {name for name in before ^ after if not re.fullmatch(rf"{NAME}-[0-9a-f]{{8}}\.qcow2", name)} == set()
    assert list_changed(made) == []


def test_destroy_leaves_nothing(made: Made) -> None:
    made.webitel("destroy", STACK, "--with-data", typed=f"y\n{STACK}\n")
    assert made.host.virsh("list", "--all", "--name").split() == []
    assert made.host.volumes() - {"lost+found"} == {IMAGE}
    assert not made.deployment.state_file.exists()


def list_changed(made: Made) -> list[str]:
    """What another run would do to resources; our own provider only hears of all settings."""
    return [step.name for step in made.deployment.preview() if not step.type.startswith("pulumi:providers:")]


def disk(made: Made) -> str:
    """The path of the database's disk on the node."""
    found = next(one for one in made.deployment.state() if one["type"] == "webitel:index:NodeConfiguration")
    return str(found["inputs"]["devices"]["database"])


def read_mark(made: Made) -> str:
    """What the database's disk holds."""
    return made.node(f"mkdir -p {MARK} && mount -o ro {disk(made)} {MARK} && cat {MARK}/it && umount {MARK}")
