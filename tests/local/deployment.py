"""A deployment of the tests' own: a copy of this checkout, a state of its own, worked by `./webitel` as a user does."""

import copy
import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Self

import yaml

from tests.local import ended
from tools.incus import api, execute
from tools.incus.network import read_routes

ROOT = Path(__file__).resolve().parents[2]
UP_SECONDS = 900
"""A bound for whatever ends by itself, images included; what a test promises is asserted beside it."""
SECRETS_TYPE = "webitel:index:Secrets"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    output: str
    errors: str
    seconds: float

    @property
    def said(self) -> str:
        """Both streams."""
        return self.output + self.errors


class Deployment:
    """One stack in a checkout of its own below `folder`. `key` is the node that `on_node` and its like speak to.

    Caches (engine, images, Python environment) are shared with the user's; everything that a command prints is kept in
    `folder/said`, where the search for secrets looks too.
    """

    def __init__(self, folder: Path, name: str, settings: Mapping[str, Any]) -> None:
        self.folder, self.name = folder, name
        self.checkout, self.said = folder / "checkout", folder / "said"
        self.network = find_network()
        self.settings: dict[str, Any] = {"cloud": "local", "tier": "single", "network": str(self.network), **settings}
        mine = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
        self.environment = mine | {"XDG_DATA_HOME": str(folder / "data"), "PULUMI_HOME": str(folder / "pulumi")}
        self.key = "all-1"
        self._started: list[subprocess.Popen[str]] = []
        self._salt: dict[str, str] = {}
        self._held = ended.hold(name)

    @property
    def node(self) -> str:
        """Name of the node spoken to."""
        return f"{self.name}-{self.key}"

    def at(self, key: str) -> Self:
        """The same deployment, speaking to another node."""
        other = copy.copy(self)
        other.key = key
        return other

    def with_service(self, service: str) -> list[Self]:
        """The nodes that carry a service."""
        names = {node["name"] for node in self.plan()["nodes"] if service in node["services"]}
        return [node for node in self.nodes() if node.node in names]

    def nodes(self) -> list[Self]:
        """All nodes."""
        return [self.at(node["name"].removeprefix(f"{self.name}-")) for node in self.plan()["nodes"]]

    @property
    def address(self) -> str:
        """Address of the only node."""
        return str(self.network[10])

    @property
    def gateway(self) -> str:
        """This host's address on the deployment's network."""
        return str(self.network[1])

    @property
    def stack_file(self) -> Path:
        """The file with the settings."""
        return self.checkout / f"stacks/Pulumi.{self.name}.yaml"

    def make_checkout(self, files: Path = ROOT) -> None:
        """Copy the files of a checkout, as a repository of its own: what is tracked and what is new beside it."""
        self.said.mkdir()
        self.copy_files(files)
        run_git(self.checkout, "init", "-q")
        self.commit()

    def take_files(self, files: Path = ROOT) -> None:
        """Put the files of another checkout in their place, as an operator does who takes another commit."""
        for path in run_git(self.checkout, "ls-files", "-z").split("\0"):
            if path:
                (self.checkout / path).unlink()
        self.copy_files(files)
        self.commit()

    def copy_files(self, files: Path) -> None:
        """Copy the files of a checkout, or of a folder that is none, and write the stack file."""
        for path in list_files(files):
            target = self.checkout / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((files / path).read_bytes())
            target.chmod((files / path).stat().st_mode)
        self.set()

    def commit(self) -> None:
        """Make a commit of all that is there."""
        run_git(self.checkout, "add", "--all")
        run_git(self.checkout, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-qm", "As tested")

    def find_changed_files(self) -> list[str]:
        """What `git status` shows in the copy, but for the settings that the test itself changes."""
        lines = run_git(self.checkout, "status", "--porcelain").splitlines()
        return [line for line in lines if not line.endswith(f"stacks/{self.stack_file.name}")]

    def set(self, **settings: Any) -> None:
        """Change settings in the stack file; None takes one out."""
        self.settings = {name: value for name, value in (self.settings | settings).items() if value is not None}
        config = {f"webitel:{key}": self.settings[key] for key in self.settings}
        self.stack_file.write_text(yaml.safe_dump({**self._salt, "config": config}))

    def set_secret(self, name: str, value: str) -> None:
        """Set one that may not stand there in plain text, as a user does."""
        done = self.webitel("pulumi", "config", "set", "--secret", f"webitel:{name}", value, "--stack", self.name)
        assert value not in done.said
        written = yaml.safe_load(self.stack_file.read_text())
        self._salt = {"encryptionsalt": written["encryptionsalt"]}
        self.settings[name] = written["config"][f"webitel:{name}"]

    @contextmanager
    def edit(self, path: str, old: str, new: str) -> Iterator[None]:
        """Change a text of a file of the copy, as an operator would, and change it back."""
        file = self.checkout / path
        before = file.read_text()
        assert old in before, f"{path} lacks {old!r}"
        file.write_text(before.replace(old, new))
        try:
            yield
        finally:
            file.write_text(before)

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> "Running":
        """Start `./webitel`; its process may be watched and sent signals."""
        number = len(list(self.said.iterdir()))
        streams = [self.said / f"{number:04}-{arguments[0]}.{stream}" for stream in ("out", "err")]
        with streams[0].open("w") as output, streams[1].open("w") as errors:
            process = subprocess.Popen(
                [str(self.checkout / "webitel"), *arguments],
                cwd=self.checkout,
                text=True,
                stdin=subprocess.DEVNULL,
                env=self.environment | dict(environment or {}),
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        self._started.append(process)
        return Running(process, streams[0], streams[1], time.monotonic())

    def webitel(
        self,
        *arguments: str,
        status: int = 0,
        seconds: float = UP_SECONDS,
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """Run `./webitel` to its end; its exit status must be as said."""
        running = self.start(*arguments, environment=environment)
        done = running.wait(seconds)
        assert done.status == status, f"webitel {' '.join(arguments)}: exit status {done.status}\n{done.said}"
        return done

    def exists(self) -> bool:
        """Whether the node spoken to has a machine."""
        return api.find(api.instance_path(self.node)) is not None

    def up(self, *arguments: str, status: int = 0, seconds: float = UP_SECONDS) -> Done:
        """`./webitel up`."""
        return self.webitel("up", self.name, *arguments, status=status, seconds=seconds)

    def upgrade(self, *arguments: str, seconds: float = UP_SECONDS) -> Done:
        """`./webitel upgrade`; the versions that it writes into the stack file are settings of this deployment from then on."""
        done = self.webitel("upgrade", self.name, "--yes", *arguments, seconds=seconds)
        config = yaml.safe_load(self.stack_file.read_text())["config"]
        if versions := config.get("webitel:package_versions"):
            self.settings["package_versions"] = versions
        return done

    def versions(self, *packages: str) -> dict[str, tuple[str, bool]]:
        """Version of those packages that the node has, and whether it is held."""
        row = "'found ${Package} ${Version} ${db:Status-Want}\n'"
        shown = self.on_node(f"dpkg-query -W -f {row} {' '.join(packages)}", check=False)
        rows = [line.split()[1:] for line in shown.splitlines() if line.startswith("found ")]
        return {name: (version, want == "hold") for name, version, want in rows}

    def status(self) -> dict[str, Any]:
        """`./webitel status --json`, whose exit status says the same as its text."""
        done = self.start("status", self.name, "--json").wait(60)
        assert done.output, done.errors
        report: dict[str, Any] = json.loads(done.output)
        assert done.status == (0 if report["healthy"] else 1)
        return report

    def plan(self) -> dict[str, Any]:
        """`./webitel plan --json`."""
        made: dict[str, Any] = json.loads(self.webitel("plan", self.name, "--json").output)
        return made

    def resources(self, *, show_secrets: bool = False) -> list[dict[str, Any]]:
        """The resources of the state."""
        arguments = ["pulumi", "stack", "export", "--stack", self.name, *(["--show-secrets"] if show_secrets else [])]
        running = self.start(*arguments)
        done = running.wait(60)
        if show_secrets:
            # The search for secrets would find its own needles.
            running.output.unlink()
        assert done.status == 0, done.errors
        found: list[dict[str, Any]] = json.loads(done.output)["deployment"].get("resources", [])
        return found

    def find_resource(self, kind: str) -> dict[str, Any]:
        """The only resource of that type."""
        (found,) = [resource for resource in self.resources() if resource["type"] == f"webitel:index:{kind}"]
        return found

    def read_secrets(self) -> dict[str, str]:
        """Every generated secret in the clear."""
        for resource in self.resources(show_secrets=True):
            if resource["type"] == SECRETS_TYPE:
                values = resource["outputs"]["values"]
                found: dict[str, str] = json.loads(values["plaintext"]) if "plaintext" in values else values
                return {name: reveal(value) for name, value in found.items()}
        raise AssertionError("the state has no secrets")

    def on_node(self, script: str, *, check: bool = True, seconds: float = 60, text: str = "") -> str:
        """Run a script on the node as root, past SSH; returns what it printed, all of it where `check` is off.

        Without `check` a node that cannot be asked at all, because it restarts, has printed nothing.
        """
        end = time.monotonic() + seconds

        def pause(wait: float) -> None:
            assert time.monotonic() < end, f"not done after {seconds:g} s: {script}"
            time.sleep(wait)

        try:
            done = execute.run(self.node, ["sh", "-c", script], text, pause=pause)
        except api.IncusError:
            if check:
                raise
            return ""
        assert done.returncode == 0 or not check, f"{script}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
        return (done.stdout + ("" if check else done.stderr)).strip("\n")

    def python_on_node(self, program: str, *, seconds: float = 60, text: str = "") -> str:
        """Run a Python program on the node as root; its standard input is `text`."""
        return self.on_node(f"python3 -c {quote(program)}", seconds=seconds, text=text)

    def find_faults(self, *, brief: bool = False) -> dict[str, str]:
        """What the node itself finds not healthy: service or disk, and why. `brief` for who asks again and again."""
        shown = self.on_node(f"webitel-node status --json {'--brief' if brief else ''} || true", check=False)
        try:
            report = json.loads(shown)
        except ValueError:
            return {"node": shown or "no answer"}
        rows = [*report["services"], *({**disk, "name": f"disk {disk['purpose']}"} for disk in report["disks"])]
        faults = {row["name"]: row["why"] for row in rows if not row["healthy"]}
        return faults or ({} if report["healthy"] else {"node": "not configured"})

    def wait_healthy(self, seconds: float) -> float:
        """Wait until the node finds everything healthy; returns the seconds that it took."""
        return wait_until(lambda: str(self.find_faults(brief=True) or self.find_faults() or ""), seconds)

    def units(self) -> dict[str, dict[str, str]]:
        """What systemd says about the node's units, by name."""
        names = self.on_node(
            'python3 -c \'import json; print(*[u["name"] for u in json.load(open("/etc/webitel/node.json"))["units"]])\''
        ).split()
        wanted = "Id,MainPID,ActiveState,ActiveEnterTimestampMonotonic,NRestarts,Type"
        shown = self.on_node(f"systemctl show -p {wanted} {' '.join(f'{name}.service' for name in names)}")
        blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
        return {block["Id"].removesuffix(".service"): block for block in blocks}

    def end(self) -> None:
        """End what still runs and delete the deployment, whatever state a test left it in."""
        for process in self._started:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(120)
                except subprocess.TimeoutExpired:
                    process.kill()
        if (self.folder / "data").exists():
            done = self.start("destroy", self.name, "--yes").wait(300)
            assert done.status == 0 or "is not up yet" in done.said, done.said
        ended.release(self._held)


@dataclass(frozen=True)
class Running:
    """A command under way, each of its streams in a file."""

    process: subprocess.Popen[str]
    output: Path
    errors: Path
    started: float

    def said(self) -> str:
        """What it printed so far."""
        return self.output.read_text(errors="replace") + self.errors.read_text(errors="replace")

    def wait(self, seconds: float) -> Done:
        """Wait for its end."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            raise AssertionError(f"not done after {seconds:g} s:\n{self.said()}") from None
        return Done(
            status,
            self.output.read_text(errors="replace"),
            self.errors.read_text(errors="replace"),
            time.monotonic() - self.started,
        )

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until it has printed a text."""

        def ask() -> str:
            assert self.process.poll() is None, f"it ended without {text!r}:\n{self.said()}"
            return "" if text in self.said() else f"no {text!r} in:\n{self.said()}"

        wait_until(ask, seconds, pause=0.05)


def wait_until(ask: Callable[[], str], seconds: float, pause: float = 0.5) -> float:
    """Ask until the answer is "" ; the last other one is the error. Returns the seconds that it took."""
    started = time.monotonic()
    while said := ask():
        assert time.monotonic() - started < seconds, f"after {seconds:g} s: {said}"
        time.sleep(pause)
    return time.monotonic() - started


def find_network() -> IPv4Network:
    """A network of 10.99.0.0/16 that this host does not reach yet; the default of users is in another block.

    Any of the free ones: another worker looks for one too, and neither is there before its `up`.
    """
    taken = [route.network for route in read_routes()]
    return random.choice(
        [
            network
            for network in IPv4Network("10.99.0.0/16").subnets(new_prefix=24)
            if not any(network.overlaps(other) for other in taken)
        ]
    )


def list_files(folder: Path) -> list[str]:
    """The files of a checkout, as git knows them, or all of a folder that is none."""
    if not (folder / ".git").exists():
        return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    listed = run_git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [path for path in listed if path and (folder / path).exists()]  # listed and deleted: not committed yet


def run_git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def reveal(value: Any) -> Any:
    """A value of the decrypted state without the engine's wrapping of secrets."""
    return json.loads(value["plaintext"]) if isinstance(value, dict) and "plaintext" in value else value


def quote(text: str) -> str:
    """A text as one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
