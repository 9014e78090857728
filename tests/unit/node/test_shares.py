"""The share as a node sees it: what is wrong with one in which words, and what is never written elsewhere."""

import subprocess
from pathlib import Path

import pytest

from cloud_init.node.clusters import keeper
from cloud_init.node.clusters.locks import Lease
from cloud_init.node.manifest import Manifest, ShareEntry
from cloud_init.node.storage import disks, shares
from cloud_init.node.system import ApplyError
from tests.unit.node import entries

UNIT = "var-lib-webitel-share.mount"


class Node:
    """systemd with one mount unit: its state, what it was told, what its journal says."""

    def __init__(self, mount: Path) -> None:
        self.share: ShareEntry = {"source": "/srv/recordings", "mount": str(mount), "unit": UNIT}
        self.state, self.asserted, self.refuses, self.reloaded, self.enabled = "active", "yes", False, True, True
        self.told: list[tuple[str, ...]] = []
        self.journal: list[str] = []

    def systemctl(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        self.told.append(arguments)
        if arguments[0] in ("start", "stop") and not self.refuses:
            self.state = {"start": "active", "stop": "inactive"}[arguments[0]]
        said = {
            "is-active": self.state,
            "show": f"ActiveState={self.state}\nAssertResult={self.asserted}\nAssertTimestampMonotonic=7\n"
            f"UnitFileState={'enabled' if self.enabled else 'disabled'}\n"
            f"NeedDaemonReload={'no' if self.reloaded else 'yes'}",
        }
        failed = self.refuses and arguments[0] == "start"
        return subprocess.CompletedProcess(arguments, int(failed), said.get(arguments[0], ""), "Job failed." if failed else "")

    @property
    def manifest(self) -> Manifest:
        return entries.manifest(
            share=self.share,
            stack="s",
            directories=[{"path": f"{self.share['mount']}/storage", "owner": "root:root", "mode": "0750", "disk": "share"}],
        )


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    made = Node(tmp_path)
    monkeypatch.setattr(shares, "systemctl", made.systemctl)
    monkeypatch.setattr(shares, "last_lines", lambda unit, lines: made.journal)
    return made


def tell(step: str, text: str) -> None:
    """Progress that nobody reads."""


def test_it_is_mounted_marked_and_has_its_directories(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "NEARLY_FULL_PERCENT", 101)  # this machine's own disk may be
    node.reloaded = False
    shares.prepare(node.manifest, tell)
    changes = [one for one in node.told if one[0] not in ("is-active", "show")]
    assert changes == [("stop", UNIT), ("daemon-reload",), ("enable", UNIT), ("start", UNIT)]
    assert (tmp_path / ".webitel-disk").read_text() == "s share\n" and (tmp_path / "storage").is_dir()
    node.told.clear()
    node.reloaded = True
    shares.prepare(node.manifest, tell)
    assert {one[0] for one in node.told} == {"show", "is-active"}, "what is mounted is left alone"
    node.enabled = False
    shares.prepare(node.manifest, tell)
    assert ("enable", UNIT) in node.told
    row = shares.report(node.share)
    assert (row["purpose"], row["healthy"], row["why"]) == ("share", True, "") and row["size"] >= row["free"] > 0


def test_what_is_not_mounted_is_not_written_to(node: Node, tmp_path: Path) -> None:
    node.refuses, node.state, node.asserted = True, "inactive", "no"
    with pytest.raises(ApplyError, match=r"the share /srv/recordings at .* is not mounted: /srv/recordings is not a mount point"):
        shares.prepare(node.manifest, tell)
    assert not list(tmp_path.iterdir())
    disks.prepare(node.manifest, {}, entries.state(), tell)
    assert not list(tmp_path.iterdir()), "its directories are none of a disk's"


def test_the_share_of_another_deployment_is_refused(node: Node, tmp_path: Path) -> None:
    (tmp_path / ".webitel-disk").write_text("other share\n")
    with pytest.raises(ApplyError, match="belongs to `other share`"):
        shares.prepare(node.manifest, tell)


def test_status_names_what_is_wrong(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shares.report(node.share)["why"].endswith("it is another one: no sentinel file")
    node.state = "inactive"
    assert shares.report(node.share)["why"] == f"the share /srv/recordings at {tmp_path} is not mounted"
    node.state = "failed"
    node.journal = [
        "2026-01-01 s mount[9]: mount.nfs4: Connection refused",
        "2026-01-01 s systemd[1]: x.mount: Failed with result",
    ]
    assert shares.report(node.share)["why"].endswith("is not mounted: mount.nfs4: Connection refused")
    node.state = "active"
    answers = {
        (1, "", "touch: setting times of 'x': Read-only file system"): "Read-only file system; it must be writable for root",
        (124, "", ""): "does not answer within 4 s",
        (0, "4096 1000 100", ""): "is nearly full: 90 % used",
    }
    for (status, output, errors), said in answers.items():
        monkeypatch.setattr(shares, "run", lambda *_, found=(status, output, errors): subprocess.CompletedProcess((), *found))
        row = shares.report(node.share)
        assert not row["healthy"] and said in row["why"]


def test_it_is_mounted_again_and_unmounted_where_it_is_no_longer_wanted(node: Node) -> None:
    shares.keep(node.manifest)
    shares.keep(entries.manifest())
    assert not any(one[0] == "start" for one in node.told)
    node.state = "failed"
    shares.keep(node.manifest)
    assert ("start", "--no-block", UNIT) in node.told
    shares.drop(["/etc/webitel/x.mount", f"/etc/systemd/system/{UNIT}", "/etc/systemd/system/x.service.d/webitel.conf"])
    assert [one for one in node.told if one[0] == "disable"] == [("disable", "--now", UNIT)]


@pytest.mark.parametrize(("peer", "gives_up"), [(True, True), (None, False)])
def test_without_its_share_for_a_while_a_node_leaves_storage_to_another_one(
    node: Node,
    peer: bool | None,
    gives_up: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper.Keeper, "read_manifest", lambda self: None)
    monkeypatch.setattr(keeper, "is_yielding", lambda: False)
    monkeypatch.setattr(keeper, "ask_peer", lambda *_: peer)
    made = keeper.Keeper(1)
    made.manifest = {
        **node.manifest,
        "key": "storage-1",
        "units": [entries.unit("storage", mounts=[node.share["mount"]]), entries.unit("logger")],
    }
    candidates = [{"key": f"storage-{n}", "address": f"10.0.0.{n}"} for n in (1, 2)]
    made.services = {name: [entries.service(name, candidates=candidates)] for name in ("storage", "logger")}
    leases = {name: Lease(name, "storage-1", 0) for name in made.services}
    for lease in leases.values():
        lease.until = float("inf")
    node.state = "failed"
    assert not made.gives_up(leases["storage"]), "it may be there again at once"
    made.missed["storage"] -= keeper.SHARE_GONE_SECONDS
    assert made.gives_up(leases["storage"]) is gives_up and not made.gives_up(leases["logger"])
    node.state = "active"
    assert not made.gives_up(leases["storage"]) and not made.missed
