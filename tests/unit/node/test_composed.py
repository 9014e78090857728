"""From the composer to the node program, with nothing written by hand in between: what a change does on a node."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud_init import compose
from cloud_init.bundles import HERE, bundle_digest
from cloud_init.compose import Configuration
from cloud_init.node import owed
from cloud_init.node.apply import units
from cloud_init.node.manifest import FileEntry, UnitEntry
from cloud_init.node.system import ApplyError
from tests.plans import compose_configuration, load_stack, make_plan
from tests.unit.node.fake_node import FakeNode

BUNDLES = {
    "alerts": ["reload-or-restart prometheus"],
    "dashboards": [],
    "freeswitch": ["let calls end", "restart freeswitch", "let calls in"],
    "nginx": ["reload-or-restart nginx"],
    "opensips": ["/usr/lib/webitel/setup/opensips.sh reload_routes"],
}
"""Bundle -> what a node does when it is another one."""

FILES = {
    "haproxy/haproxy.cfg": ["reload-or-restart haproxy"],
    "rtpengine/rtpengine.conf": ["restart rtpengine-daemon"],
    "freeswitch/freeswitch.xml": ["let calls end", "restart freeswitch", "let calls in"],
    "opensips/opensips.cfg": ["restart opensips"],
    "node/60-webitel.conf": ["sysctl -eq --system"],
}
"""Template -> what a node does when its file is another one: reload, restart, drain, a command."""

WATCH = ["restart webitel-watch"]

RENDER = compose.render_template
COMPOSED: dict[tuple[str, str, str], bytes] = {}
"""Each test has one of its own."""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    return FakeNode(tmp_path, monkeypatch)


def given(stack: str = "local-single", key: str = "all-1", **more: Any) -> Configuration:
    """What a node is given: composed once as long as the project is what it is."""
    if compose.render_template is not RENDER or vars(compose)["bundle_digest"] is not bundle_digest:
        return compose_changed(stack, key, more)
    asked = stack, key, repr(more)
    if asked not in COMPOSED:
        COMPOSED[asked] = pickle.dumps(compose_changed(stack, key, more))
    made: Configuration = pickle.loads(COMPOSED[asked])
    return made


def compose_changed(stack: str, key: str, more: dict[str, Any]) -> Configuration:
    """Compose it with changed settings."""
    settings = load_stack(stack).settings.model_copy(update=more)
    plan = make_plan(settings, stack)
    return compose_configuration(plan, plan.node(key), settings)


@pytest.fixture
def running(node: FakeNode) -> FakeNode:
    """A node that has its configuration, with every unit active."""
    node.apply(given())
    node.units |= dict.fromkeys(node.units, True)
    return node


def change_template(monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    """Another version of the project has another text in that template."""
    render: Callable[..., str] = compose.render_template
    monkeypatch.setattr(
        compose,
        "render_template",
        lambda name, *rest, **more: render(name, *rest, **more) + ("# another day\n" if name == changed else ""),
    )


def change_bundle(monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    """Another version of the project has another bundle of that name."""
    monkeypatch.setattr(compose, "bundle_digest", lambda name: "another" if name == changed else bundle_digest(name))


def test_at_first_packages_disks_files_and_then_all_units_start_at_once(node: FakeNode) -> None:
    made = given()
    done = node.apply(made)
    # The list of packages is written before all other files, whose owners the packages make.
    assert {path.removeprefix(str(node.root)) for path in done["changed"]} == made.files.keys() - {"/etc/webitel/packages.json"}
    assert {f"mkfs.ext4 dev-{purpose}" for purpose in ("database", "recordings")} <= set(node.asked)
    assert [line.split()[2] for line in (node.root / "fstab").read_text().splitlines()] == ["ext4", "ext4"]
    names = [unit["name"] for unit in made.units]
    started = next(line for line in node.asked if line.startswith("start "))
    assert started.split()[2:] == [name for name in names if name in started.split()] and "--no-block" in started
    assert all(node.units[name] for name in names)
    # Who may connect has to prove itself before anything starts.
    proved = [f"reload-or-restart {unit}" for unit in ("ssh", "nftables")]
    assert not any(line.startswith(("restart", "reload")) for line in node.asked if line not in (*WATCH, *proved))


def test_without_a_change_nothing_is_touched(running: FakeNode) -> None:
    done = running.apply(given())
    assert done["changed"] == done["removed"] == done["actions"] == running.asked == []


@pytest.mark.parametrize("template", FILES)
def test_a_changed_file_touches_what_reads_it(template: str, running: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    change_template(monkeypatch, template)
    done = running.apply(given())
    assert len(done["changed"]) == 1 and running.asked == FILES[template]
    assert running.apply(given())["changed"] == running.asked == []


def test_rtpengine_goes_on_while_its_calls_would_not_come_back(running: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    change_template(monkeypatch, "rtpengine/rtpengine.conf")
    running.obstacle = "3 calls would not come back"
    done = running.apply(given())
    assert running.asked == [] and done["put_off"] == ["rtpengine-daemon"], "the file is there, and nothing was restarted"
    assert done["actions"] == ["rtpengine-daemon not restarted: 3 calls would not come back"]
    assert running.apply(given())["put_off"] == ["rtpengine-daemon"] and running.asked == [], "that is not forgotten"
    done = running.apply(given(), disruptive=True)
    assert running.asked == FILES["rtpengine/rtpengine.conf"] and "put_off" not in done


def test_every_bundle_of_ours_is_in_the_table() -> None:
    assert {path.name for path in (HERE / "bundles").iterdir()} == set(BUNDLES)
    assert set(BUNDLES) <= set(given().bundles)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_changed_bundle_reaches_the_program_that_reads_it(
    bundle: str,
    running: FakeNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change_bundle(monkeypatch, bundle)
    done = running.apply(given())
    assert done["changed"] == [] and running.asked == BUNDLES[bundle]
    running.apply(given())
    assert running.asked == []


def test_a_new_node_program_is_taken_up_by_what_runs_all_the_time_and_by_nothing_else(
    running: FakeNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change_bundle(monkeypatch, "node")
    running.apply(given())
    assert running.asked == ["try-reload-or-restart webitel-locks", "try-restart webitel-records", *WATCH]


def test_so_does_what_has_a_cloud_move_the_address(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = given("aws-basic", "edge-1", counts={"edge": 2})
    node.apply(pair)
    node.asked.clear()
    change_bundle(monkeypatch, "node")
    node.apply(given("aws-basic", "edge-1", counts={"edge": 2}))
    assert "try-restart webitel-address" in node.asked


@pytest.mark.parametrize(("stack", "key"), [("aws-basic", "app-1"), ("aws-basic", "edge-1"), ("hetzner-extended", "media-2")])
def test_a_bundle_concerns_the_nodes_that_have_its_reader(stack: str, key: str) -> None:
    made = given(stack, key)
    assert made.manifest["bundle_actions"].keys() == made.bundles.keys() - {"node", "sandbox"}
    assert ("freeswitch" in made.bundles) == (key != "edge-1")


def test_another_version_of_a_package_restarts_its_program(node: FakeNode) -> None:
    node.apply(given("aws-single", package_versions={"webitel-engine": "25.08.1-1"}))
    node.units |= dict.fromkeys(node.units, True)
    node.apply(given("aws-single", package_versions={"webitel-engine": "25.08.2-1"}))
    assert node.asked == ["install webitel-engine", "restart engine"]
    assert node.packages["webitel-engine"] == "25.08.2-1"


def test_a_program_that_comes_later_brings_no_service_of_its_own(node: FakeNode) -> None:
    """Debian's nginx.service would have its own site on every address after the next start of the machine."""
    node.packaged["nginx"] = ["nginx"]
    before = given("aws-extended", "sip-1")
    before.manifest["packages"].remove("nginx")
    node.apply(before)
    node.apply(given("aws-extended", "sip-1"))
    assert "install nginx" in node.asked and "nginx" not in node.enabled
    # A run that was killed during the installation left it like this.
    node.enabled.add("nginx")
    node.apply(given("aws-extended", "sip-1"))
    assert node.asked == ["disable nginx"]


def test_what_runs_as_a_service_of_ours_is_left_alone_by_a_new_version_of_its_package(node: FakeNode) -> None:
    bus = given("aws-extended", "bus-1")
    node.apply(bus)
    node.units |= dict.fromkeys(node.units, True)
    # Its drop-in's own command enabled it.
    assert any("systemctl enable -q --now epmd.socket" in line for line in node.asked)
    node.enabled |= {"epmd.socket", "epmd"}
    node.packages.pop("rabbitmq-server")
    node.apply(bus)
    assert node.asked == ["install rabbitmq-server"] and {"epmd.socket", "rabbitmq-server"} <= node.enabled


def test_a_unit_comes_and_goes(node: FakeNode) -> None:
    one, two = given("local-basic", "app-1"), given("local-basic", "app-1", counts={"app": 2})
    (added,) = {unit["name"] for unit in two.units} - {unit["name"] for unit in one.units}
    assert added == "webitel-locks"
    node.apply(one)
    node.apply(two)
    assert node.units[added] and added in node.enabled
    done = node.apply(one)
    assert f"disable --now {added}" in node.asked and not node.units[added] and added not in node.enabled
    assert any(path.endswith(f"/{added}.service") for path in done["removed"])


def test_a_disk_is_given_a_file_system_once_in_its_life(running: FakeNode) -> None:
    running.mounted.clear()
    with pytest.raises(ApplyError, match="is empty, but this node once had one"):
        running.apply(given())
    assert not any(line.startswith("mkfs") for line in running.asked)


def test_another_key_of_the_deployment_takes_the_place_of_the_old_one(node: FakeNode) -> None:
    file = node.root / "root" / ".ssh" / "authorized_keys"
    file.parent.mkdir(parents=True)
    file.write_text("ssh-ed25519 AAAAsomebody guest\n")
    for key in ("ssh-ed25519 AAAAfirst", "ssh-ed25519 AAAAsecond"):
        done = node.apply(given(), key)
        assert file.read_text() == f"{key} webitel\n" and str(file) in done["changed"]


@pytest.mark.parametrize("stack", ["local-single", "aws-basic"])
def test_every_action_of_a_node_is_one_that_the_node_program_performs(stack: str) -> None:
    for node in load_stack(stack).plan.nodes:
        made = given(stack, node.key)
        names = {unit["name"] for unit in made.units}
        said = [action for attribute in made.attributes.values() for action in attribute["actions"]]
        said += [action for actions in made.manifest["bundle_actions"].values() for action in actions]
        said += [action for entry in made.manifest["versions"].values() for action in entry["actions"]]
        for verb, _, unit in (action.partition(" ") for action in said):
            assert verb not in units.VERBS or unit in names, f"{node.key}: {verb} {unit}"


def test_what_the_watcher_was_cut_off_from_is_done_by_up(running: FakeNode) -> None:
    """It had changed a file, so that nothing differs from what is wanted, and its program has not read it."""
    owed.owe(["reload nginx"])
    done = running.apply(given())
    assert done["changed"] == [] and running.asked == ["reload-or-restart nginx"] and owed.list_owed() == []
    assert running.apply(given())["actions"] == running.asked == []


def test_what_a_killed_run_has_brought_goes_with_a_later_one_that_knows_nothing_of_it(
    running: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of a folder that a program reads as a whole would else stay for ever, and so would a service."""
    before = given()
    path = "/etc/nginx/conf.d/new.conf"
    unit: UnitEntry = {**before.units[0], "name": "new"}
    entry: FileEntry = {"mode": "0644", "owner": "root:root", "actions": []}
    more = replace(
        before,
        files={**before.files, path: "new\n"},
        attributes={**before.attributes, path: entry},
        manifest={**before.manifest, "units": [*before.manifest["units"], unit]},
    )

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as killed:
        killed.setattr(units, "converge", die)
        with pytest.raises(SystemExit):
            running.apply(more)
    assert Path(f"{running.root}{path}").exists()
    done = running.apply(given())
    assert not Path(f"{running.root}{path}").exists() and done["removed"] == [f"{running.root}{path}"]
    assert "disable --now new" in running.asked
