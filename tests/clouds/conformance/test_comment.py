"""What `preview --markdown` writes for a pull request, from real previews of a simulated cloud, and through the command."""

import re
from pathlib import Path

import pytest
import typer

from cli.commands.preview import comment, preview
from cli.comment.markdown import LIMIT_CHARACTERS, MARK, join, write_failure, write_preview
from cli.engine.changes import read_changes
from cli.engine.engine import reveal
from cli.engine.events import EventLog
from stacks.settings import stack_file
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.program import SECRET_CONFIG, Config
from tests.clouds.conformance.test_conformance import plan_of

pytestmark = pytest.mark.clouds

STACK = "hetzner-basic"


class Reviewed:
    """A deployment of which a pull request changes the settings."""

    def __init__(self, live: Live) -> None:
        self.live = live

    def comment(self, changes: Config, *arguments: str) -> str:
        """The comment on a preview with these settings."""
        deployment = self.live.deployment
        deployment.configure(changes)
        deployment.preview("--suppress-outputs", *arguments)
        return write_preview(plan_of(STACK, changes)[0], read_changes(EventLog(deployment.folder / "events.json").read()))

    def secrets(self) -> list[str]:
        """Every generated secret, and those of the settings."""
        made = [one for one in self.live.deployment.decrypted_state() if one["type"] == "webitel:index:Secrets"]
        values = reveal(made[0]["outputs"]["values"])
        return [value for value in (*values.values(), *SECRET_CONFIG.values()) if len(value) >= 6]


@pytest.fixture(scope="module")
def reviewed(start: Start, standing: Standing) -> Reviewed:
    return Reviewed(start(STACK, standing(STACK)))


def cells_of(text: str) -> list[str]:
    """The cells of the only row of the table."""
    return [cell.strip() for cell in text.split(f"`{STACK}` |")[1].splitlines()[0].split("|")]


def test_a_new_deployment_is_created(start: Start) -> None:
    text = Reviewed(start(STACK)).comment({})
    replaced, create, *others, before, after, difference, _ = cells_of(text)
    assert (replaced, int(create) > 20, others) == ("none", True, ["0", "0", "0"])
    assert (before, difference) == ("EUR 0", "+" + after.removeprefix("EUR "))
    assert text.startswith(MARK)
    assert "- edge 443/tcp nginx from the internet" in text
    assert re.search(r"\| machines \| none \| 363 \| 2 ccx33, ccx23 \| \d{4}-\d\d-\d\d \|", text)
    assert "```mermaid\nflowchart LR" in text
    assert "**Closed:**" not in text


def test_nothing_is_said_where_nothing_changes(reviewed: Reviewed) -> None:
    assert reviewed.comment({}) == ""


def test_changed_lines_stand_folded_and_no_secret(reviewed: Reviewed) -> None:
    text = reviewed.comment({"upload_limit_mib": 100, "carriers": ["192.0.2.64/26"], "rotate": {"broker_password": 2}})
    assert re.search(r"<details><summary>hetzner-basic: <code>/etc/nginx/\S+</code> on edge-1</summary>\n\n```diff\n", text)
    assert "+" in text and "100m;" in text
    assert "- edge 5060/udp opensips from carriers 192.0.2.64/26" in text.split("**Closed:**")[0]
    assert "- edge 5060/udp opensips from carriers 198.51.100.0/24" in text.split("**Closed:**")[1]
    assert cells_of(text)[3:5] == ["0", "0"], "nothing is replaced or deleted"
    assert cells_of(text)[7] == "+0"
    assert not [secret for secret in reviewed.secrets() if secret in text]


def test_a_replaced_machine_comes_first(reviewed: Reviewed) -> None:
    urn = next(
        one["urn"]
        for one in reviewed.live.deployment.state()
        if one["type"] == "hcloud:index/server:Server" and one["urn"].endswith("::data-1")
    )
    text = reviewed.comment({"counts": {"app": 2}}, "--replace", urn)
    assert cells_of(text)[0] == "**data-1**"
    assert text.index("1 machine REPLACED, what runs on it ends: data-1") < text.index("flowchart LR")
    assert cells_of(text)[7].startswith("+"), "a machine more costs more"
    assert "app-1, app-2" in text


def test_a_deleted_machine_is_told(reviewed: Reviewed) -> None:
    # As `webitel scale app 1` does it: a node that has not left is not taken away.
    for changes in ({"counts": {"app": 2}}, {"counts": {"app": 2}, "leaving": ["app-2"]}):
        reviewed.live.deployment.configure(changes)
        reviewed.live.deployment.up()
    text = reviewed.comment({})
    assert "1 machine DELETED: app-2" in text
    assert cells_of(text)[7].startswith("-")


def test_comment_of_many_stacks_stays_small(reviewed: Reviewed) -> None:
    text = reviewed.comment({"time_zone": "Europe/Berlin", "max_connections": 500, "upload_limit_mib": 10})
    many = join([text, *[text.replace(STACK, f"hetzner-{number}") for number in range(40)]])
    assert len(text) < len(many) <= LIMIT_CHARACTERS
    assert len(re.findall(r"^\| `hetzner-", many, re.MULTILINE)) == 41
    assert "left out" in many
    assert many.count("flowchart LR") > 10, "of what does not fit as a whole, as much as fits"


def test_of_a_long_failure_the_end_is_told() -> None:
    text = write_failure(STACK, f"{'word ' * 20_000}the reason")
    assert len(text) < LIMIT_CHARACTERS and "the reason" in text and "left out" not in text
    many = join([text] * 9)
    assert len(many) <= LIMIT_CHARACTERS
    assert many.count("the reason") == 5 and "4 parts left out" in many


@pytest.fixture
def stack_folder(reviewed: Reviewed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stack files for the command line, which has the simulated cloud and a backend of its own."""
    (tmp_path / "backend").mkdir()
    own = {"XDG_DATA_HOME": str(tmp_path), "PULUMI_BACKEND_URL": (tmp_path / "backend").as_uri(), "HCLOUD_TOKEN": "x" * 64}
    for name, value in (reviewed.live.deployment.environment | own).items():
        monkeypatch.setenv(name, value)
    file = stack_file(STACK)
    monkeypatch.setattr("stacks.settings.STACKS", tmp_path)
    (tmp_path / file.name).write_text(file.read_text())
    return tmp_path


def test_the_command_writes_the_file(stack_folder: Path) -> None:
    """As a workflow calls it. A stack that is not up yet leaves no trace in the backend."""
    with (stack_folder / f"Pulumi.{STACK}.yaml").open("a") as file:
        file.write("  webitel:package_source: sandbox\n")
    one, joined = stack_folder / "comments/one.md", stack_folder / "all.md"
    with pytest.raises(typer.Exit) as ended:
        preview(STACK, markdown=one)
    assert ended.value.exit_code == 0
    assert cells_of(one.read_text())[0] == "none"
    assert not list((stack_folder / "backend").rglob("*.json"))
    comment([one, stack_folder / "none.md"], output=joined)
    assert cells_of(joined.read_text()) == cells_of(one.read_text())
    one.unlink()
    comment([one], output=joined)
    assert not joined.exists()


def test_a_preview_that_fails_says_why(stack_folder: Path) -> None:
    file = stack_folder / "one.md"
    with pytest.raises(typer.Exit) as ended:
        preview(STACK, markdown=file)
    assert ended.value.exit_code
    assert "the preview failed" in file.read_text()
    assert "webitel:repository_user" in file.read_text() and "config set --secret" in file.read_text()
    assert "Traceback" not in file.read_text()
