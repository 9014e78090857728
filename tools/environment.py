"""The project's Python environment: made once for all checkouts, outside of them. Standard library only.

`./webitel` runs this file with the system's Python; the command line imports `ensure_extra`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tools.host.fetching import SetupError, fetch, list_hosts, run
from tools.host.locks import explain_refusal, lock

__all__ = ["SetupError", "ensure_environment", "ensure_extra", "is_installed", "link_environment", "read_requirements"]

ROOT = Path(__file__).resolve().parent.parent
PROJECT_FILE = ROOT / "pyproject.toml"
LOCKS = ROOT / "requirements"
"""A file for the project itself, `base`, and one for each extra."""
COMPLETE = "complete"
"""The file that an environment gets last: without it an installation was interrupted."""
HOPELESS = re.compile(
    r"No space left|Permission denied|Read-only file system|requires a different Python|DO NOT MATCH THE HASHES"
)


def ensure_environment(root: Path, cache: Path) -> Path:
    """Find the environment for these lock files and this Python, or make it; `root/.venv` links to it."""
    version = ".".join(map(str, sys.version_info[:3]))
    # Those of the extras too: what is in an environment is then always what each of its checkouts asks for.
    locked = "\n".join(file.read_text() for file in sorted(LOCKS.glob("*.lock")))
    digest = hashlib.sha256(f"{version} {sys.base_prefix}\n{locked}".encode()).hexdigest()[:12]
    venv = cache / f"venv-{digest}"
    if not (venv / COMPLETE).exists():
        with lock(cache / "venv.lock", "preparing the Python environment", say):
            if not (venv / COMPLETE).exists():
                make_environment(venv)
    link_environment(root, venv)
    return venv


def link_environment(root: Path, venv: Path) -> None:
    """Make `.venv` of the checkout a link to it, where the engine looks for it."""
    link = root / ".venv"
    if link.is_symlink() and link.readlink() == venv:
        return
    temporary = root / f".venv.{os.getpid()}"
    try:
        temporary.symlink_to(venv)
        temporary.replace(link)
    except OSError as error:
        raise SetupError(f"{link} cannot be made: {error.strerror}. Clone the repository into a folder of your own.") from error


def make_environment(venv: Path) -> None:
    """Make a new environment at its final place: console scripts name it, so it cannot be moved there afterwards."""
    say(f"Preparing the Python environment in {venv} (once, about a minute) ...")
    shutil.rmtree(venv, ignore_errors=True)
    done = run([sys.executable, "-m", "venv", str(venv)])
    if done.returncode:
        raise SetupError(f"{venv} cannot be made:\n{(done.stderr or done.stdout).strip()}")
    install_with_pip(venv / "bin/python", "base")
    (venv / COMPLETE).touch()


def install_with_pip(python: Path, name: str) -> None:
    """Install what a lock file names into the environment of that Python; the error names the step and the hosts."""
    # Who installs for his user by default cannot do so into an environment.
    environment = {**os.environ, "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [str(python), "-m", "pip"]

    def list_indexes() -> list[str]:
        options = ("global.index-url", "install.index-url")
        shown = [run([*command, "config", "get", option], environment).stdout for option in options]
        return list_hosts([environment.get("PIP_INDEX_URL", ""), *shown])

    def install() -> subprocess.CompletedProcess[str]:
        return run([*command, "install", "--quiet", "--require-hashes", "-r", str(LOCKS / f"{name}.lock")], environment)

    step = f"installing the Python packages of requirements/{name}.lock (pip)"
    fetch(step, install, say, hopeless=HOPELESS, configured=list_indexes)


def read_requirements(extra: str = "") -> list[str]:
    """Return the requirements of the project itself, or those of one extra."""
    project = tomllib.loads(PROJECT_FILE.read_text())["project"]
    requirements: list[str] = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return requirements


def ensure_extra(extra: str) -> None:
    """Install what is missing of an extra (a cloud's SDK, the test tools) into the running environment."""
    if not list_missing(extra):
        return
    with lock(Path(sys.prefix) / "webitel-pip.lock", "installing Python packages", say):
        importlib.invalidate_caches()
        if missing := list_missing(extra):  # another run may have installed them meanwhile
            say(f"Installing {', '.join(missing)} ...")
            # Scripts name their Python: not by a checkout's link, which other checkouts cannot count on.
            install_with_pip(Path(sys.prefix).resolve() / "bin/python", extra)
            importlib.invalidate_caches()


def list_missing(extra: str) -> list[str]:
    """List the requirements of an extra that are not installed."""
    return [requirement for requirement in read_requirements(extra) if not is_installed(requirement)]


def is_installed(requirement: str) -> bool:
    """Whether a distribution of that name is installed, in that very version where the requirement pins one."""
    name, _, pinned = requirement.partition("==")
    try:
        version = importlib.metadata.version(re.split(r"[<>=!~ ]", name)[0])
    except importlib.metadata.PackageNotFoundError:
        return False
    return not pinned or version == pinned


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        print(ensure_environment(Path(sys.argv[1]), Path(sys.argv[2])))
    except SetupError as problem:
        sys.exit(f"webitel: {problem}")
    except OSError as problem:
        sys.exit(f"webitel: {explain_refusal(problem)}")
    except KeyboardInterrupt:
        sys.exit(130)
