"""What happens to a running deployment, on the real engine and every simulated cloud: one `basic` stack a cloud, step by
step, each test going on where the one before ended. The end of it goes through our own command line.

`WEBITEL_TEST_LONG=1` has every step on every cloud; without it each is done on some, see `DEALT`. That it is made as planned, and
nothing changes then, is in test_conformance.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from cli.commands.replace import choose_targets
from components.clouds.registry import CLOUDS
from components.model.machine import make_to_measure
from components.model.problems import PlanError
from components.model.settings import Settings
from stacks.load import load_deployment
from tests.clouds.conformance.checks import SECRETS, TYPES, find_wrong_ways
from tests.clouds.conformance.command import OWN, Command, command_line
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import REPLACING, EngineError, Step, replaced
from tests.clouds.conformance.program import Config
from tests.clouds.conformance.sample import SELLERS, deal, do_on
from tests.long_form import LONG
from tests.plans import make_plan
from tests.simulator.case import Seen, identity, load_case
from tests.simulator.world import Thing

pytestmark = pytest.mark.clouds

DEALT = deal(
    "day two",
    {
        "replaced": 1,
        "destroyed": 1,
        "refresh": 1,
        "asked twice": 1,
        "settings": 1,
        "resized": 1,
        "lowered": 1,
        "shown": 1,
    },
)
"""The clouds of each step that costs much, in the short form."""
TAGGED = deal("tags", {"tags": 1}, [cloud for cloud in SELLERS if CLOUDS[cloud].tags])["tags"]
KEYED = deal("disk keys", {"key": 1}, [cloud for cloud in SELLERS if CLOUDS[cloud].disk_keys])["key"]
PLANNED = DEALT["lowered"]
"""Where the short form sees what is refused before any adapter runs, and so is the same everywhere."""
RAISED = {*DEALT["replaced"], *DEALT["lowered"], *DEALT["resized"]}
"""Where these steps find more nodes than the committed stack has."""
STORIES = {*(cloud for clouds in DEALT.values() for cloud in clouds), *TAGGED, *KEYED}

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJt7YqKq1vYwBG0p6c3Yy3a9n8l2Qb3l0lq8m2t1oCx1 second@office"
OURS = ("webitel:index:NodeConfiguration", "webitel:index:Health", "webitel:index:Secrets", "pulumi:providers:webitel")
"""What a changed setting or secret may touch."""


class Story:
    """One cloud's deployment over several tests; `settings` are the changes to the committed stack so far."""

    def __init__(self, cloud: str, live: Live) -> None:
        self.cloud, self.live, self.deployment, self.world = cloud, live, live.deployment, live.world
        self.settings: dict[str, object] = {}

    def read_settings(self) -> None:
        """Takes over what our command line wrote into the stack file."""
        config = yaml.safe_load(self.deployment.file.read_text())["config"]
        self.settings |= {"counts": config["webitel:counts"]}
        self.settings.pop("kept_disks", None)
        if kept := config.get("webitel:kept_disks"):
            self.settings["kept_disks"] = kept

    def change(self, settings: Config) -> None:
        self.settings |= settings
        self.deployment.configure(self.settings)

    def machines(self) -> dict[str, Seen]:
        return {machine.name.removeprefix(f"{self.cloud}-basic-"): machine for machine in load_case(self.cloud).see(self.world)}

    def disks(self) -> dict[str, str]:
        """Ids of the data disks by the name of the resource that made them."""
        return {name_of(thing): identity(thing) for thing in TYPES[self.cloud].list_disks(self.world)}

    def secrets(self) -> dict[str, object]:
        """What the `Secrets` are, in the clear."""
        return next((one["outputs"] for one in self.deployment.decrypted_state() if one["type"] == SECRETS), {})

    def ids(self) -> dict[str, str]:
        """Ids of the machines, likewise."""
        return {name_of(thing): identity(thing) for thing in TYPES[self.cloud].list_machines(self.world)}

    def told_ids(self) -> dict[str, str]:
        """What our own provider is told of each machine, which is another one with every new one."""
        told = {thing.id: str(thing.inputs["machine_id"]) for thing in self.world.all(OURS[0])}
        return {key: told[machine.name] for key, machine in self.machines().items()}


def name_of(thing: Thing) -> str:
    return thing.urn.rpartition("::")[2]


@pytest.fixture(scope="module", params=[cloud for cloud in CLOUDS if CLOUDS[cloud].real])
def story(request: pytest.FixtureRequest, start: Start, standing: Standing) -> Story:
    do_on(STORIES, request.param, "takes two minutes")
    stack = f"{request.param}-basic"
    return Story(request.param, start(stack, standing(stack)))


@pytest.fixture
def webitel(story: Story) -> Iterator[Command]:
    with command_line(story.live) as command:
        yield command


def touched(steps: list[Step]) -> list[str]:
    """What happened to resources that are not our own."""
    return [f"{step.op} {step.type} {step.name} {step.changed}" for step in steps if step.type not in OURS]


def skip_on_some(story: Story, step: str) -> None:
    do_on(DEALT[step], story.cloud, "takes many seconds")


def skip_what_is_planned(story: Story) -> None:
    do_on(PLANNED, story.cloud, "is the same on every cloud")


def test_refresh_finds_what_was_made(story: Story) -> None:
    skip_on_some(story, "refresh")
    assert sorted(story.deployment.refresh()) == [*load_case(story.cloud).late]


def test_settings_keys_and_images_replace_nothing(story: Story) -> None:
    skip_on_some(story, "settings")
    machines, ids, disks = story.machines(), story.ids(), story.disks()
    assert len(disks) == 2
    story.change(
        {
            "upload_limit_mib": 100,
            "operator_keys": [KEY],
            "image": load_case(story.cloud).image,
            "package_versions": {"webitel-engine": "25.08.3-1"},
        }
    )
    steps = story.deployment.up()
    assert touched(steps) == []
    assert {step.name for step in steps if step.type == OURS[0]} == {"data-1", "app-1", "edge-1"}
    assert (story.machines(), story.ids(), story.disks()) == (machines, ids, disks)


def test_tags_of_ones_own_come_in_place(story: Story) -> None:
    if CLOUDS[story.cloud].tags is None:
        settings = load_deployment(story.deployment.stack).settings.model_copy(update={"tags": {"cost-center": "4711"}})
        with pytest.raises(PlanError, match=r"webitel:tags"):
            make_plan(settings, story.deployment.stack)
        return
    do_on(TAGGED, story.cloud, "takes ten seconds")
    ids, disks = story.ids(), story.disks()
    story.change({"tags": {"cost-center": "4711"}})
    steps = story.deployment.up()
    assert {step.op for step in steps if step.type not in OURS} == {"update"}
    assert (story.ids(), story.disks()) == (ids, disks)
    for kind in (TYPES[story.cloud].machine, TYPES[story.cloud].disk):
        for thing in story.world.all(kind):
            assert "4711" in json.dumps(thing.inputs), f"{thing.urn} wears none"


def test_a_key_of_ones_own_is_for_disks_made_from_now_on(story: Story) -> None:
    facts = CLOUDS[story.cloud]
    if facts.disk_keys is None:
        settings = load_deployment(story.deployment.stack).settings.model_copy(update={"disk_key": "disks"})
        with pytest.raises(PlanError, match="take no key of one's own"):
            make_plan(settings, story.deployment.stack)
        return
    do_on(KEYED, story.cloud, "takes ten seconds")
    disks = story.disks()
    story.change({"disk_key": facts.disk_keys.example.format(region=facts.default_region)})
    assert touched(story.deployment.up()) == []
    assert story.disks() == disks


def test_changed_line_shows_while_nodes_are_added(story: Story) -> None:
    """The addresses of new machines are not known yet, and no file of a running node may become unknown by that."""
    skip_on_some(story, "shown")
    before = dict(story.settings)
    story.change({"upload_limit_mib": 101, "counts": {"app": 2, "data": 3}})
    steps = story.deployment.preview("--diff")
    assert {step.name for step in steps if step.type == OURS[0] and step.op == "create"} == {"app-2", "data-2", "data-3"}
    shown = {name: text for name, text in split_by_resource(story.deployment.shown, OURS[0]).items() if name == "edge-1"}
    lines = [" ".join(line.split()) for line in shown["edge-1"].splitlines()]
    limit = before.get("upload_limit_mib", Settings.model_fields["upload_limit_mib"].default)
    assert f"- client_max_body_size {limit}m;" in lines
    assert "+ client_max_body_size 101m;" in lines
    story.settings = before
    story.change({})


def split_by_resource(shown: str, kind: str) -> dict[str, str]:
    """What a preview says of each resource of that type, by its name."""
    parts = re.split(r"^ *[-+~= ]+ ?(?=\w[\w-]*:\w+[:/])", shown, flags=re.MULTILINE)
    named = {part: re.search(r"\[urn=[^\]]*::([^\]:]+)\]", part) for part in parts if part.startswith(kind)}
    return {found[1]: part for part, found in named.items() if found}


def test_raised_counts_and_a_rotated_ssh_key_replace_no_machine(story: Story) -> None:
    """The key is a resource of the cloud, and a machine's keys count as a reason to replace it."""
    do_on(RAISED, story.cloud, "takes ten seconds")
    ids, disks = story.ids(), story.disks()
    story.change({"counts": {"app": 2, "data": 3}, "rotate": {"ssh_key": 2}, **OWN})
    steps = story.deployment.up()
    assert all("key" in text.lower() for text in replaced(steps)), replaced(steps)
    assert set(story.ids()) == set(story.machines()) == {"data-1", "data-2", "data-3", "app-1", "app-2", "edge-1"}
    assert ids.items() < story.ids().items()
    assert disks.items() < story.disks().items()
    assert len([name for name in story.disks() if name.endswith("-database")]) == 3


def test_lowered_count_of_a_cluster_is_refused(story: Story) -> None:
    skip_what_is_planned(story)
    before = story.world.all(), story.deployment.known()
    story.change({"counts": {"app": 2, "data": 2}})
    with pytest.raises(EngineError, match="a cluster of 2 cannot lose a node"):
        story.deployment.preview()
    story.change({"counts": {}})
    for run in (story.deployment.preview, story.deployment.up):
        with pytest.raises(EngineError) as caught:
            run()
        assert "data-2, data-3 are up" in str(caught.value)
        assert f"set it back to 3, then ./webitel scale data 1 {story.deployment.stack}" in str(caught.value)
        assert f"./webitel scale app 1 {story.deployment.stack}" in str(caught.value)
    assert (story.world.all(), story.deployment.known()) == before
    story.change({"counts": {"app": 2, "data": 3}})


def test_a_share_takes_no_disk_with_recordings_along(story: Story) -> None:
    skip_what_is_planned(story)
    before = dict(story.settings)
    story.change({"recordings_share": {"source": "10.99.0.4:/webitel"}})
    with pytest.raises(EngineError, match=r"the disk recordings of data-1 would go with what is on it") as caught:
        story.deployment.preview()
    assert "webitel:disk_sizes: {data.recordings: 500}" in str(caught.value)
    story.change({"disk_sizes": {"data.recordings": 500}})
    steps = story.deployment.preview()
    assert steps and not replaced(steps) and not [step.name for step in steps if step.op == "delete"]
    story.settings = before
    story.change({})


def test_larger_machine_type_is_resized_in_place(story: Story) -> None:
    skip_on_some(story, "resized")
    before, cloud = story.machines(), CLOUDS[story.cloud]
    ids, disks = story.ids(), story.disks()

    def enlarge(key: str) -> str:
        """A larger type of the same family: another one may have other controllers."""
        now = cloud.machine_type(before[key].machine_type)
        assert now
        if cloud.made_to_measure:
            return make_to_measure(now.vcpus + 2, now.memory_gib + 4).name
        larger = [one for one in cloud.machine_types if one.family == now.family and one.vcpus > now.vcpus]
        return min(larger, key=lambda one: one.vcpus).name

    types = {"app": enlarge("app-1"), "data": enlarge("data-1")}
    story.change({"machine_types": types})
    steps = story.deployment.up()
    # Where the definition of a machine is made anew, it starts from the disks that it had, the boot disk too.
    anew = TYPES[story.cloud].machine if load_case(story.cloud).resized_anew else ""
    assert [step.name for step in steps if step.op in REPLACING and step.type != anew] == []
    assert (story.ids(), story.disks()) == (ids, disks)
    after = story.machines()
    assert all(after[key].machine_type == types[key.partition("-")[0]] for key in ("data-1", "app-1", "app-2"))
    assert all(after[key].disks == before[key].disks for key in before)


def test_replaced_machine_keeps_disk_and_address(story: Story) -> None:
    skip_on_some(story, "replaced")
    before, ids, disks, told = story.machines(), story.ids(), story.disks(), story.told_ids()
    machine = TYPES[story.cloud].machine
    # What `webitel replace` does: each node's component says which resource its machine is, and what else is the node's.
    resources = story.deployment.state()
    groups = {one["urn"].rpartition("::")[2]: one for one in resources if one["type"] == "webitel:index:Node"}
    kept = CLOUDS[story.cloud].disks_in_machine
    if kept:
        with pytest.raises(EngineError, match="marked for protection"):
            story.deployment.preview("--replace", groups["data-1"]["outputs"]["machine"])
    nodes = {"edge-1"} if kept else {"data-1", "edge-1"}
    words = [word for key in sorted(nodes) for word in ("--replace", groups[key]["outputs"]["machine"])]
    if CLOUDS[story.cloud].fixed_addresses:
        words += [word for key in sorted(nodes) for word in choose_targets(groups[key]["urn"], key)]
    announced = story.deployment.preview(*words)
    assert {step.name for step in announced if step.type == machine and step.op in REPLACING} == nodes
    if CLOUDS[story.cloud].fixed_addresses:
        # Changes of other nodes wait, as one of them may need these two first: a broker that restarts, say.
        story.change({"drain_timeout": 301})
    steps = story.deployment.up(*words)
    if CLOUDS[story.cloud].fixed_addresses:
        assert {step.name for step in steps if step.type == OURS[0]} == nodes
        assert {"app-1", "data-2"} <= {step.name for step in story.deployment.up() if step.type == OURS[0]}
    after, new = story.machines(), story.ids()
    assert {name for name in ids if new[name] != ids[name]} == nodes
    assert story.disks() == disks
    assert after["data-1"].disks == before["data-1"].disks
    if CLOUDS[story.cloud].fixed_addresses:
        assert [after[key].private_address for key in after] == [before[key].private_address for key in after]
        assert after["edge-1"].public_address == before["edge-1"].public_address
    now = story.told_ids()
    assert {key for key in told if now[key] != told[key]} == nodes


def test_a_lowered_count_keeps_the_disks_of_who_left(story: Story, webitel: Command) -> None:
    lower(story, webitel)


def test_a_count_raised_again_takes_the_kept_disks(story: Story, webitel: Command) -> None:
    """Disks with the names of the new nodes' ones are there: on most clouds nobody else can have these."""
    if CLOUDS[story.cloud].disks_in_machine:
        pytest.skip(f"{story.cloud} keeps no disk of a node that left")
    skip_on_some(story, "lowered")
    ids, disks = story.ids(), story.disks()
    ran = webitel("scale", "data", "3", story.deployment.stack)
    assert "use the kept disks of data-2, data-3 again" in str(ran.exception)
    assert (story.ids(), story.disks()) == (ids, disks)
    ran = webitel("scale", "data", "3", story.deployment.stack, "--yes")
    assert ran.exit_code == 0, ran.exception
    story.read_settings()
    assert "kept_disks" not in story.settings
    assert story.disks() == disks
    machines = story.machines()
    assert {name: id for name, id in story.ids().items() if name in ids} == ids
    assert story.ids().keys() - ids.keys() == {"data-2", "data-3"}
    for key in ("data-2", "data-3"):
        assert list(machines[key].disks) == [f"{story.deployment.stack}-{key}-database"]
    plan = load_deployment(story.deployment.stack).plan
    assert list(find_wrong_ways(plan, story.world, {one.name: one for one in load_case(story.cloud).see(story.world)})) == []
    assert touched(story.deployment.preview("--expect-no-changes")) == []
    if LONG:  # once more, for what the end of a deployment makes of disks that nobody uses
        lower(story, webitel)


def lower(story: Story, webitel: Command) -> None:
    """From three `data` nodes to one; the disks of the two stay."""
    skip_on_some(story, "lowered")
    ids, disks = story.ids(), story.disks()
    ran = webitel("scale", "data", "1", story.deployment.stack, "--yes")
    if CLOUDS[story.cloud].disks_in_machine:
        assert "data-2, data-3: data is on disks of their own machines" in str(ran.exception)
        assert (story.ids(), story.disks()) == (ids, disks)
        lose(story, webitel)
        return
    assert ran.exit_code == 0, ran.exception
    story.read_settings()
    assert story.settings["kept_disks"] == ["data-2", "data-3"]
    assert story.ids() == {name: id for name, id in ids.items() if name not in ("data-2", "data-3")}
    assert story.disks() == disks
    left = {name for name in disks if name.startswith(("data-2-", "data-3-"))}
    assert all(name in " ".join(ran.output.split()) for name in left), ran.output
    assert left <= {one["urn"].rpartition("::")[2] for one in story.deployment.state() if one.get("protect")}
    assert touched(story.deployment.preview("--expect-no-changes")) == []


def lose(story: Story, webitel: Command) -> None:
    """Likewise where their disks go with them."""
    ids, disks, left = story.ids(), story.disks(), ("data-2", "data-3")
    ran = webitel("scale", "data", "1", story.deployment.stack, "--delete-data", "--yes")
    assert ran.exit_code == 0, ran.exception
    story.read_settings()
    assert "kept_disks" not in story.settings
    assert story.ids() == {name: id for name, id in ids.items() if name not in left}
    assert story.disks() == {name: id for name, id in disks.items() if not name.startswith(left)}
    assert touched(story.deployment.preview("--expect-no-changes")) == []


def test_destroy_keeps_disks_and_secrets_and_up_adopts_them(story: Story, webitel: Command) -> None:
    skip_on_some(story, "destroyed")
    disks, machines, secrets = story.disks(), story.machines(), story.secrets()
    assert secrets
    ran = webitel("destroy", story.deployment.stack, "--yes")
    if CLOUDS[story.cloud].disks_in_machine:
        assert "destroy would delete it. Nothing was changed" in str(ran.exception)
        assert (story.disks(), set(story.ids())) == (disks, set(machines))
        with pytest.raises(EngineError, match="protected"):
            story.deployment.destroy()
        assert story.disks() == disks
        return
    assert ran.exit_code == 0, ran.exception
    told = " ".join(ran.output.split())
    assert "is gone, except for what is protected" in told and "data-1-database" in told
    assert story.ids() == {}
    with pytest.raises(EngineError, match="protected"):
        story.deployment.destroy()
    assert story.disks() == disks
    assert SECRETS in {one["type"] for one in story.deployment.state() if one.get("protect")}
    story.deployment.up()
    assert story.disks() == disks
    again = story.machines()
    assert {key: one.disks for key, one in again.items()} == {key: one.disks for key, one in machines.items()}
    assert story.secrets() == secrets
    if TYPES[story.cloud].addresses:
        assert {key: one.public_address for key, one in again.items() if key.startswith("edge")} == {
            key: one.public_address for key, one in machines.items() if key.startswith("edge")
        }


def test_destroy_with_data_asks_twice_and_leaves_nothing(story: Story, webitel: Command) -> None:
    skip_on_some(story, "asked twice")
    stack = story.deployment.stack
    things = story.world.all()
    for typed in ("n\n", "y\nanother\n"):
        assert webitel("destroy", stack, "--with-data", typed=typed).exit_code
    assert story.world.all() == things
    ran = webitel("destroy", stack, "--with-data", typed=f"y\n{stack}\n")
    assert ran.exit_code == 0, ran.exception
    assert story.world.all() == []
    assert not story.deployment.state_file.exists()
    assert story.deployment.file.exists()
    assert "kept_disks" not in story.deployment.file.read_text()
