"""The workflows cannot be run here: what can be known of them without is known."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from cli.__main__ import app
from cli.comment.markdown import MARK
from cli.develop.parts import ONLY_BY_NAME, PARTS
from stacks.settings import list_stacks
from tests.unit.tools.leaks import find_gitlab_leaks, find_leaks
from tools.changed_stacks import choose, describe

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
OTHERS = sorted((ROOT / ".gitlab").glob("*.yml"))
READING = {"contents": "read"}
WRITING = {"pull-requests", "id-token"}
"""What a job may have beyond reading the code, one of them each."""


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    text: dict[str, Any] = yaml.load(request.param.read_text(), Loader=yaml.BaseLoader)
    return text


def steps_of(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    assert [path.name for path in (*WORKFLOWS, *OTHERS)]
    assert "preview.yml" in {path.name for path in WORKFLOWS}


def test_actions_are_pinned_and_say_their_version() -> None:
    for path in WORKFLOWS:
        for line in path.read_text().splitlines():
            if "uses:" in line:
                assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


FIRST_ON_NODE_24 = {
    "actions/checkout": 5,
    "actions/cache": 5,
    "actions/upload-artifact": 6,
    "actions/download-artifact": 7,
    "aws-actions/configure-aws-credentials": 6,
    "google-github-actions/auth": 3,
}
"""The first major version whose `action.yml` says `using: node24` (read in each repository's tags): the runners have no Node 20
since 2026-09-23."""


def test_actions_run_on_what_the_runners_have() -> None:
    used = [found for path in WORKFLOWS for found in re.findall(r"uses: ([\w-]+/[\w-]+)@\w+ # v(\d+)", path.read_text())]
    assert {name for name, _ in used} == FIRST_ON_NODE_24.keys()
    assert [f"{name} v{major}" for name, major in used if int(major) < FIRST_ON_NODE_24[name]] == []


def test_permissions_are_few(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] in ({}, "{}", READING)
    for name, job in workflow["jobs"].items():
        permissions = job.get("permissions", {})
        more = permissions.keys() - READING.keys()
        assert permissions.get("contents", "read") == "read", name
        assert more <= WRITING and len(more) <= 1, f"{name}: who reads clouds writes no comment, and the other way round"


def test_forks_get_nothing(workflow: dict[str, Any]) -> None:
    assert "pull_request_target" not in workflow["on"]
    assert "workflow_run" not in workflow["on"]
    for name, job in workflow["jobs"].items():
        if "secrets." in str(job):
            first = workflow["jobs"][job["needs"]] if "needs" in job else job
            assert "github.event.pull_request.head.repo.full_name == github.repository" in first["if"], name
    for step in steps_of(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"


def test_no_job_hands_anything_to_a_branch_that_nobody_has_read(workflow: dict[str, Any]) -> None:
    assert list(find_leaks(workflow)) == []


def test_no_job_of_gitlab_does_either() -> None:
    (path,) = OTHERS
    pipeline = yaml.safe_load(path.read_text())
    assert {"preview", "note"} <= pipeline.keys()
    assert list(find_gitlab_leaks(pipeline)) == []


CHECKOUT = {"uses": "actions/checkout@v5"}
PASSPHRASE = {"env": {"PULUMI_CONFIG_PASSPHRASE": "${{ secrets.PULUMI_CONFIG_PASSPHRASE }}"}, "run": "./webitel preview"}


@pytest.mark.parametrize(
    ("on", "job", "says"),
    [
        ("pull_request", {"steps": [CHECKOUT, PASSPHRASE]}, "without an environment"),
        ("pull_request", {"environment": "anything", "steps": [CHECKOUT, PASSPHRASE]}, "without an environment"),
        ("pull_request", {"env": {"X": "${{ toJSON(secrets) }}"}, "steps": [CHECKOUT]}, "without an environment"),
        ("pull_request", {"permissions": {"pull-requests": "write"}, "steps": [CHECKOUT]}, "a token that writes"),
        ("pull_request", {"permissions": {"id-token": "write"}, "steps": [{"run": "./webitel preview"}]}, "a token that writes"),
        ("pull_request", {"permissions": "write-all", "steps": [CHECKOUT]}, "a token that writes"),
        ("pull_request", {"runs-on": "self-hosted", "steps": []}, "a runner of yours"),
        ("pull_request", {"uses": "./.github/workflows/x.yml", "secrets": "inherit"}, "inherits every secret"),
        ({"pull_request_target": ""}, {"steps": [CHECKOUT]}, "runs with more rights"),
        (["push", "workflow_run"], {"steps": [CHECKOUT]}, "runs with more rights"),
    ],
)
def test_each_way_to_hand_something_to_a_branch_is_found(on: Any, job: dict[str, Any], says: str) -> None:
    found = list(find_leaks({"on": on, "permissions": {}, "jobs": {"planted": job}}))
    assert len(found) == 1 and says in found[0], found


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"script": ["./webitel preview x"]}, "./webitel preview without an environment"),
        ({"script": ["./webitel preview x"], "environment": "production"}, "without an environment"),
        ({"script": ['echo "$PULUMI_CONFIG_PASSPHRASE"'], "variables": {"GIT_STRATEGY": "none"}}, "without an environment"),
        (
            {"script": ["./webitel comment x", "curl $WEBITEL_NOTES_TOKEN"], "environment": "webitel-notes"},
            "beside WEBITEL_NOTES",
        ),
        ({"script": ["curl $WEBITEL_NOTES_TOKEN"], "environment": {"name": "webitel-notes"}}, "beside WEBITEL_NOTES_TOKEN"),
    ],
)
def test_each_way_of_gitlab_is_found(job: dict[str, Any], says: str) -> None:
    found = list(find_gitlab_leaks({"planted": job}))
    assert len(found) == 1 and says in found[0], found


def test_no_text_of_others_is_run_as_a_command(workflow: dict[str, Any]) -> None:
    assert not [step["run"] for step in steps_of(workflow) if "${{" in step.get("run", "")]


def test_every_command_and_option_exists() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for path in (*WORKFLOWS, *OTHERS):
        called = re.findall(r"\./webitel ([a-z-]+)(.*)", path.read_text())
        assert called or path.name != "preview.yml"
        for name, rest in called:
            assert name in commands, f"{path.name}: webitel {name}"
            known = {option for parameter in commands[name].params for option in (*parameter.opts, *parameter.secondary_opts)}
            assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"{path.name}: webitel {name}{rest}"
    options = {option for parameter in commands["drift"].params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {"--nodes", "--no-nodes"} <= options


def test_every_part_of_the_whole_has_a_job_of_its_own() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["test"]
    assert job["strategy"]["matrix"]["part"] == [part for part in PARTS if part not in ONLY_BY_NAME]
    (run,) = [step for step in job["steps"] if ".ci/run" in step.get("run", "")]
    assert run["run"].endswith('.ci/run "$PART"') and run["env"] == {"PART": "${{ matrix.part }}"}
    assert job["strategy"]["fail-fast"] is False, "each part runs, whatever another one finds"


def test_what_is_kept_is_named_by_what_makes_it(workflow: dict[str, Any]) -> None:
    for step in steps_of(workflow):
        if step.get("uses", "").startswith("actions/cache@"):
            patterns = re.findall(r"'([^']+)'", step["with"]["key"])
            assert patterns and not [pattern for pattern in patterns if not list(ROOT.glob(pattern))], step["name"]
            made = "engine" in step["with"]["path"]
            # A new library makes no new engine, and the engine's modules no new environment.
            assert ("pyproject.toml" in patterns) is not made and ("tools/engine/**" in patterns) is made, step["name"]


def test_the_comment_is_found_again_by_its_mark() -> None:
    for path in (ROOT / ".github/workflows/preview.yml", ROOT / ".gitlab/preview.yml"):
        assert f'startswith("{MARK}")' in path.read_text()


def test_shell_of_the_workflows_is_sound() -> None:
    for path in WORKFLOWS:
        for step in steps_of(yaml.load(path.read_text(), Loader=yaml.BaseLoader)):
            if "run" in step:
                checked = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False)
                assert not checked.stderr, f"{path.name}: {checked.stderr}"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["stacks/Pulumi.aws-basic.yaml"], ["aws-basic"]),
        (["README.md", "tests/unit/model/test_planner.py", "cli/commands/plan.py"], []),
        (["cloud_init/files/nginx/nginx.conf", "README.md"], ["mine", "yours"]),
        (["__main__.py", "stacks/Pulumi.aws-basic.yaml"], ["aws-basic", "mine", "yours"]),
        (["components/ssh.py"], ["mine", "yours"]),
        (["components/model/clouds/machines.json"], ["mine", "yours"]),
        (["pyproject.toml"], ["mine", "yours"]),
    ],
)
def test_changed_files_choose_stacks(files: list[str], expected: list[str]) -> None:
    assert choose(files, ["mine", "yours"]) == expected


def test_every_stack_on_a_cloud_is_described() -> None:
    rows = describe([*list_stacks(), "gone"])
    assert {"stack": "aws-basic", "cloud": "aws"} in rows
    assert not [row for row in rows if row["cloud"] == "local" or row["stack"] == "gone"]


def test_changed_stacks_runs_on_plain_python() -> None:
    done = subprocess.run(
        ["python3", "-S", "-m", "tools.changed_stacks", "hetzner-single"],
        cwd=ROOT,
        text=True,
        input="components/ssh.py\nstacks/Pulumi.aws-basic.yaml\n",
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == [{"stack": "aws-basic", "cloud": "aws"}, {"stack": "hetzner-single", "cloud": "hetzner"}]
