"""The project's Python environment: made once for all checkouts, outside of them. Standard library only.

`./webitel` runs this file with the system's Python; the command line imports `ensure_extra`.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT_FILE = Path(__file__).resolve().parent.parent / "pyproject.toml"
COMPLETE = "complete"
"""The file that an environment gets last: without it an installation was interrupted."""


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def ensure_environment(root: Path, cache: Path) -> Path:
    """The environment for this pyproject.toml and this Python, made if it is missing; `root/.venv` links to it."""
    version = ".".join(map(str, sys.version_info[:3]))
    dependencies = "\n".join(read_requirements())
    digest = hashlib.sha256(f"{version} {sys.base_prefix}\n{dependencies}".encode()).hexdigest()[:12]
    venv = cache / f"venv-{digest}"
    if not (venv / COMPLETE).exists():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "venv.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (venv / COMPLETE).exists():
                make_environment(venv)
    link = root / ".venv"
    if not link.is_symlink() or link.readlink() != venv:
        temporary = root / f".venv.{os.getpid()}"
        temporary.symlink_to(venv)
        temporary.replace(link)
    return venv


def make_environment(venv: Path) -> None:
    """Make a new environment at its final place: console scripts name it, so it cannot be moved there afterwards."""
    say(f"Preparing the Python environment in {venv} (once, about a minute) ...")
    install_venv_module()
    shutil.rmtree(venv, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(venv)])
    run([str(venv / "bin/python"), "-m", "pip", "install", "--quiet", *read_requirements()])
    (venv / COMPLETE).touch()


def install_venv_module() -> None:
    """Debian and Ubuntu ship `venv` without `ensurepip`: root gets it installed, others are told how."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python3.{sys.version_info.minor}-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(f"Python's venv module is incomplete: sudo apt install {package}")
    say(f"Installing {package} ...")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-q"], environment)
    run(["apt-get", "install", "-qy", package], environment)


def read_requirements(extra: str = "") -> list[str]:
    """The requirements of the project itself, or those of one extra."""
    project = tomllib.loads(PROJECT_FILE.read_text())["project"]
    requirements: list[str] = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return requirements


def ensure_extra(extra: str) -> None:
    """Install what is missing of an extra (a cloud's SDK, the test tools) into the running environment."""
    missing = [requirement for requirement in read_requirements(extra) if not is_installed(requirement)]
    if missing:
        say(f"Installing {', '.join(missing)} ...")
        run([sys.executable, "-m", "pip", "install", "--quiet", *missing])


def is_installed(requirement: str) -> bool:
    """Whether a distribution of that name is installed, in that very version where the requirement pins one."""
    name, _, pinned = requirement.partition("==")
    try:
        version = importlib.metadata.version(re.split(r"[<>=!~ ]", name)[0])
    except importlib.metadata.PackageNotFoundError:
        return False
    return not pinned or version == pinned


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command with its output on stderr: stdout is for the path of the environment."""
    done = subprocess.run(command, stdout=sys.stderr, env=environment, check=False)
    if done.returncode:
        raise SetupError(f"failed with exit status {done.returncode}: {' '.join(command)}")


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        print(ensure_environment(Path(sys.argv[1]), Path(sys.argv[2])))
    except SetupError as problem:
        sys.exit(f"webitel: {problem}")
