"""Storage on a share: one of two nodes runs it, the other one takes over with its files, and nobody writes beside it."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.conftest import FIGURES, Figure
from tests.local.deployment import Deployment, wait_until
from tests.local.ports import nodes_of
from tests.local.power import HEALTHY_SECONDS, incus, wait_all_healthy

pytestmark = pytest.mark.nodes

CANDIDATES = ("storage-1", "storage-2")
SOURCE, MOUNT = "/srv/recordings", "/var/lib/webitel/share"
DEVICE = "recordings"


def hand_over(deployment: Deployment, key: str, folder: Path) -> None:
    """What an operator does on this machine: the folder, which stands for a network file system, mounted in a container."""
    incus("config", "device", "add", f"{deployment.name}-{key}", DEVICE, "disk", f"source={folder}", f"path={SOURCE}")


def take_away(deployment: Deployment, key: str) -> None:
    """The container loses it."""
    incus("config", "device", "remove", f"{deployment.name}-{key}", DEVICE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that both nodes are handed: outside of those that only root may enter, writable for the containers' root."""
    made = Path(f"/var/tmp/webitel-share-{os.getpid()}")
    made.mkdir()
    made.chmod(0o777)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, folder: Path) -> Iterator[Deployment]:
    """`extended` with two storage nodes, up and healthy; its first `up` found nothing mounted."""
    deployment = Deployment(
        tmp_path_factory.mktemp("share"),
        f"t{os.getpid()}-share",
        {"tier": "extended", "counts": {"storage": 2}, "recordings_share": {"source": SOURCE, "type": "bind"}},
    )
    deployment.make_checkout()
    try:
        failed = deployment.up(status=1)
        assert f"the share {SOURCE} at {MOUNT} is not mounted: {SOURCE} is not a mount point on this node" in failed.said
        for key in CANDIDATES:
            assert list_files(deployment.at(key), MOUNT) == [], "nothing was written to the boot disk"
            hand_over(deployment, key, folder)
        done = deployment.up()
        request.config.stash[FIGURES].append(("up of eight nodes, resumed with the share there", done.seconds, "s"))
        yield deployment
    finally:
        deployment.end()


def list_files(node: Deployment, *folders: str) -> list[str]:
    """What is in folders that may not be there."""
    return node.on_node(f"find {' '.join(folders)} -mindepth 1 2>/dev/null || true").split()


def find_runners(deployment: Deployment, *keys: str) -> set[str]:
    """The nodes that run Storage, past `status`."""
    return {key for key in keys or CANDIDATES if deployment.at(key).units()["storage"]["ActiveState"] == "active"}


def ask_internal(deployment: Deployment) -> str:
    """What FreeSWITCH gets from the address that it was given."""
    return deployment.at("media-1").on_node(
        "curl -sS -o /dev/null -m 3 -w '%{http_code}' \"http://$(sed -n 's/.*cdr_url=\\([^\"]*\\)\".*/\\1/p' "
        '/etc/freeswitch/vars.xml)/sys/recordings"',
        check=False,
    )


def fault_of(deployment: Deployment, key: str) -> str:
    """What `status` says about the share at a node; "" = it is as it shall be."""
    (row,) = [disk for disk in deployment.status()["nodes"][key]["disks"] if disk["purpose"] == "share"]
    return str(row["why"])


def test_one_runs_it_and_the_other_has_its_files_ready(shared: Deployment) -> None:
    assert find_runners(shared) == {"storage-1"}, "the first one has a head start"
    rows = {row["name"]: row for row in shared.status()["nodes"]["storage-2"]["services"]}
    assert rows["storage"]["standby"] == "storage-1" and rows["storage"]["healthy"]
    assert [fault_of(shared, key) for key in CANDIDATES] == ["", ""]
    assert ask_internal(shared) == "405", "FreeSWITCH's address leads to it"
    for key in CANDIDATES:
        assert "recordings" not in shared.at(key).on_node("cat /etc/fstab"), "no disk for recordings"
    assert "Nothing to change." in shared.up().output


def test_what_is_unmounted_stops_storage_and_is_mounted_again(shared: Deployment) -> None:
    node = shared.at("storage-1")
    before = node.units()["storage"]["MainPID"]
    node.on_node(f"umount {MOUNT}")
    wait_until(lambda: "" if node.units()["storage"]["MainPID"] != before else "it outlives its share", 5)
    wait_all_healthy(shared, 60)
    assert find_runners(shared) == {"storage-1"}


def test_a_share_that_is_gone_is_named_and_nothing_is_written_beside_it(shared: Deployment, folder: Path) -> None:
    node = shared.at("storage-1")
    take_away(shared, "storage-1")
    node.on_node(f"umount {MOUNT}")
    try:
        wait_until(lambda: "" if "storage-1" not in find_runners(shared) else "Storage runs without its share", 10)
        wait_until(lambda: "" if "is not a mount point" in (said := fault_of(shared, "storage-1")) else f"status says {said}", 60)
        wait_until(lambda: "" if find_runners(shared) == {"storage-2"} else "the node with the share does not take over", 90)
        assert list_files(node, MOUNT, SOURCE) == []
    finally:
        hand_over(shared, "storage-1", folder)
    wait_all_healthy(shared, 120)


def test_what_can_only_be_read_is_named(shared: Deployment) -> None:
    node = shared.at("storage-2")
    node.on_node(f"mount -o remount,bind,ro {MOUNT}")
    try:
        assert "Read-only file system" in fault_of(shared, "storage-2")
    finally:
        node.on_node(f"mount -o remount,bind,rw {MOUNT}")
    assert fault_of(shared, "storage-2") == ""


def test_a_lost_node_is_followed_by_the_other_with_its_files(shared: Deployment, figure: Figure) -> None:
    (holder,) = find_runners(shared)
    (other,) = set(CANDIDATES) - {holder}
    written = f"{MOUNT}/storage/recordings/kept"
    shared.at(holder).on_node(f"echo 'by {holder}' > {written} && sync -f {written}")
    started = time.monotonic()
    incus("stop", "--force", f"{shared.name}-{holder}")
    try:
        wait_until(lambda: "" if find_runners(shared, other) else f"{other} does not run it yet", 60)
        wait_until(lambda: "" if (said := ask_internal(shared)) == "405" else f"FreeSWITCH's address says {said}", 30)
        figure("storage node lost: seconds until the other one answers FreeSWITCH", time.monotonic() - started)
        assert shared.at(other).on_node(f"cat {written}") == f"by {holder}"
        web = nodes_of(shared)["web-1"]["private_address"]
        fetch = f"curl -sk -m 3 -o /dev/null -w '%{{http_code}}' https://{web}/api/v2/"
        wait_until(lambda: "" if (said := shared.at("web-1").on_node(fetch, check=False)) == "404" else f"nginx says {said}", 30)
    finally:
        incus("start", f"{shared.name}-{holder}")
    wait_all_healthy(shared, HEALTHY_SECONDS)
    assert find_runners(shared) == {other}, "who has it keeps it"


def test_a_node_that_leaves_hands_it_over(shared: Deployment) -> None:
    written = f"{MOUNT}/storage/recordings/handed-over"
    shared.at("storage-2").on_node(f"touch {written}")
    shared.webitel("scale", "storage", "1", shared.name, "--yes")
    shared.settings["counts"] = {"storage": 1}
    node = shared.at("storage-1")
    assert node.units()["storage"]["ActiveState"] == "active"
    assert list_files(node, written.rpartition("/")[0]).count(written) == 1
    assert ask_internal(shared) == "405" and fault_of(shared, "storage-1") == ""
    assert "Nothing to change." in shared.up().output
