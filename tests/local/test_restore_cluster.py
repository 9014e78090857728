"""A cluster of three that was destroyed with its disks, and a fresh one that gets its data from the bucket: all members follow
the one that was restored. A member that does not answer is named before anything changes.

`WEBITEL_TEST_LONG=1` only: it takes ten minutes. `tests/sandbox/test_restore_cluster.py` has two members with the same programs.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment, wait_until
from tests.local.names import serve_names
from tests.local.power import incus
from tests.local.rows import find_acknowledged, find_rows, sql, start_rows, stop_rows
from tests.local.test_restore_elsewhere import DOMAIN, EVERYWHERE, LOG_IN, PASSPHRASE, back_up_to
from tests.long_form import only_long
from tests.sandbox.bucket import ObjectStorage, run_bucket
from tests.sandbox.test_restore_elsewhere import sums

pytestmark = [pytest.mark.nodes, only_long("takes ten minutes")]

CLUSTER = {"tier": "basic", "counts": {"data": 3}, "monitoring": False}
MEMBERS = ("data-1", "data-2", "data-3")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    with run_bucket(tmp_path_factory.mktemp("objects") / "storage", f"objects.{DOMAIN}", EVERYWHERE) as made:
        yield made


def find_leader(cluster: Deployment) -> Deployment:
    """The member whose database takes writes."""
    asked = "cd / && runuser -u postgres -- psql -XAtqc 'select pg_is_in_recovery()'"
    return next(cluster.at(key) for key in MEMBERS if cluster.at(key).on_node(asked, check=False).strip() == "f")


def wait_for_all(cluster: Deployment, seconds: float) -> None:
    """Until every node finds itself healthy and both others stream from the leader."""
    for node in cluster.nodes():
        node.wait_healthy(seconds)
    ask = "select count(*) from pg_stat_replication where state = 'streaming'"
    wait_until(lambda: "" if (found := sql(find_leader(cluster), ask)) == "2" else f"{found} stream", seconds)


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory, storage: ObjectStorage) -> tuple[Path, dict[int, float]]:
    """The recovery file of a cluster that took rows and was destroyed with its disks, and what it had acknowledged."""
    folder = tmp_path_factory.mktemp("first")
    cluster = Deployment(folder, f"t{os.getpid()}-one", CLUSTER)
    cluster.make_checkout()
    try:
        back_up_to(cluster, storage, "")
        cluster.up()
        with serve_names(cluster, DOMAIN):
            leader = find_leader(cluster)
            start_rows(leader)
            cluster.webitel("backup", cluster.name)
            time.sleep(3)
            stop_rows(leader)
            last = sql(leader, "select pg_walfile_name(pg_switch_wal())")
            done = "select coalesce(max(last_archived_wal), '') from pg_stat_archiver"
            wait_until(lambda: "" if sql(leader, done) >= last else "not archived", 90)
            cluster.webitel("export-secrets", str(folder / "recovery"), cluster.name, environment=PASSPHRASE)
            found = folder / "recovery", find_acknowledged(leader)
    finally:
        cluster.end()
    return found


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, storage: ObjectStorage, lost: tuple[Path, dict[int, float]]
) -> Iterator[Deployment]:
    """A fresh one with secrets and a folder of the bucket of its own."""
    made = Deployment(tmp_path_factory.mktemp("second"), f"t{os.getpid()}-two", CLUSTER)
    made.make_checkout()
    try:
        back_up_to(made, storage, "/second")
        made.up()
        with serve_names(made, DOMAIN):
            yield made
    finally:
        made.end()


def test_all_members_have_what_was_acknowledged_and_one_that_is_off_is_named_before(
    cluster: Deployment, storage: ObjectStorage, lost: tuple[Path, dict[int, float]], figure: Figure
) -> None:
    recovery, acknowledged = lost
    there = sums(storage.objects)
    words = ("restore", cluster.name, "--from", storage.url, "--recovery", str(recovery), "--yes")
    off = next(key for key in reversed(MEMBERS) if key != find_leader(cluster).key)
    incus("stop", "--force", cluster.at(off).node)
    refused = cluster.webitel(*words, status=1, environment=PASSPHRASE | LOG_IN)
    assert off in refused.said, refused.said
    assert sql(find_leader(cluster), "select to_regclass('kept_rows')") == "", "nothing has changed"
    incus("start", cluster.at(off).node)
    wait_for_all(cluster, 180)
    began = time.monotonic()
    done = cluster.webitel(*words, environment=PASSPHRASE | LOG_IN)
    figure("restore of a cluster of three into a fresh one", done.seconds)
    wait_for_all(cluster, 300)
    figure("... until all members follow and all is healthy", time.monotonic() - began)
    assert acknowledged
    for key in MEMBERS:
        wait_until(lambda key=key: "" if acknowledged.keys() <= find_rows(cluster.at(key)) else f"{key} lacks rows", 60)  # type: ignore[misc]
    own = {name: digest for name, digest in sums(storage.objects).items() if not name.startswith("kept/second/")}
    assert own == {name: digest for name, digest in there.items() if not name.startswith("kept/second/")}
    cluster.webitel("restore", cluster.name, "--go-live", "--yes")
    wait_for_all(cluster, 300)
    assert "Nothing to change." in cluster.up().output
