"""The time of a first `up` on this machine: a copy of the checkout with folders of its own, and an Incus of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from cli.console import Failure, format_duration, progress
from stacks.settings import STACKS, stack_file

ROOT = STACKS.parent
PLACE = Path("/var/tmp")
"""On a disk: Go's caches take 3 GB, pool and images more."""
STAGES = (
    ("start of the command", re.compile("")),
    ("Python environment", re.compile(r"Preparing the Python environment")),
    ("Incus", re.compile(r"installing incus|starting Incus")),
    ("Pulumi engine", re.compile(r"get\.pulumi\.com|fetching pulumi|building Pulumi")),
    ("pool and base image", re.compile(r"local image  (?!creating)")),
    ("image with packages", re.compile(r"local image +starting a machine")),
    ("network and machines", re.compile(r"local (network|disk)|creating container")),
    ("packages of the nodes", re.compile(r"sending the configuration")),
    ("services", re.compile(r"  (start [a-z_-]+( and \d+ more)?|creating health)$")),
)
"""A stage begins with the first line of `up` that says so; those that never come took no time."""
SHORTEST_STAGE_SECONDS = 0.5
"""Of a stage that is shown."""
FOUND = ("pulumi", "go", "incusd", "mmdebstrap", "mkfs.btrfs", "dnsmasq")


def measure_cold(stack: str) -> tuple[dict[str, float], float]:
    """Measure `up` for a deployment like `stack` with no cache, in seconds by stage and in all; everything is removed again."""
    with fresh_folders() as (folder, environment):
        checkout = copy_checkout(folder / "checkout")
        name = f"cold{os.getpid()}"
        write_stack(checkout, stack, name)
        command = [str(checkout / "webitel")]
        try:
            return watch([*command, "up", name, "--yes"], checkout, environment)
        finally:
            subprocess.run(
                [*command, "destroy", name, "--yes"],
                cwd=checkout,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )


def describe_host() -> str:
    """Return what of this host a measurement cannot take away, and so does not count."""
    places = os.pathsep.join((os.environ["PATH"], "/usr/libexec/incus", "/opt/incus/bin", "/usr/local/go/bin", "/usr/sbin"))
    there = [name for name in FOUND if shutil.which(name, path=places)]
    return (
        f"not counted, as this host has it: {', '.join(there)}; the installation of Debian's packages of these, and what the "
        "package mirrors keep"
    )


@contextmanager
def fresh_folders() -> Iterator[tuple[Path, dict[str, str]]]:
    """Open a folder, and an environment in which every cache, state and daemon of ours is below it."""
    folder = Path(tempfile.mkdtemp(prefix="webitel-cold-", dir=PLACE))
    # A container's root is nobody here, and has to come through to its own file system.
    folder.chmod(0o711)
    own = {
        "XDG_CACHE_HOME": "cache",
        "XDG_DATA_HOME": "data",
        "XDG_STATE_HOME": "state",
        "PULUMI_HOME": "pulumi",
        "GOPATH": "go",
        "INCUS_DIR": "incus",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_") and name != "INCUS_SOCKET"}
    environment = {**kept, **{name: str(folder / path) for name, path in own.items()}, "GOFLAGS": "-modcacherw"}
    (folder / own["INCUS_DIR"]).mkdir()
    try:
        yield folder, environment
    finally:
        tool = [str(folder / "checkout/.venv/bin/python"), "-P", "-m", "tools.incus", "clean"]
        if Path(tool[0]).exists():
            done = subprocess.run(
                tool,
                cwd=folder / "checkout",
                env=environment | {"PYTHONPATH": str(folder / "checkout")},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                progress(f"left in {folder}: {done.stderr.strip()}")
        shutil.rmtree(folder, ignore_errors=True)


def copy_checkout(target: Path) -> Path:
    """Return the files of this checkout as a clone would have them, with what is new beside them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for path in filter(None, listed.split("\0")):
        if (ROOT / path).exists():  # deleted and not committed yet
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, target / path)
    return target


def write_stack(checkout: Path, source: str, name: str) -> None:
    """Write a stack file like another one, with a network that nobody uses."""
    from tools.incus.network import find_free_network, read_routes

    document = yaml.safe_load(stack_file(source).read_text())
    document["config"]["webitel:network"] = str(find_free_network(read_routes()))
    (checkout / "stacks" / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(document))


def watch(command: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[dict[str, float], float]:
    """Run `up` and tell its time by stage; a Failure shows its last lines."""
    started = entered = time.monotonic()
    stage, seconds, said = 0, [0.0] * len(STAGES), []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            said.append(line.rstrip())
            later = [number for number, (_, begins) in enumerate(STAGES) if number > stage and begins.search(said[-1])]
            if later:
                seconds[stage] += time.monotonic() - entered
                stage, entered = later[-1], time.monotonic()
                progress(f"{format_duration(entered - started):>7}  {STAGES[stage][0]}")
    if process.returncode:
        raise Failure(f"{' '.join(command)} failed:\n" + "\n".join(said[-20:]))
    ended = time.monotonic()
    seconds[stage] += ended - entered
    stages = {name: spent for (name, _), spent in zip(STAGES, seconds, strict=True) if spent >= SHORTEST_STAGE_SECONDS}
    return stages, ended - started
