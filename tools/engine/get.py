"""The two ways to get a `pulumi`: the official installer and its Go modules."""

import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

_INSTALLER = "https://get.pulumi.com"
_PATIENCE = 5  # seconds for the installer's host to answer: many networks let only package mirrors through
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_NEEDED_GO = (1, 25)
_OLDEST_GO = (1, 21)  # the first that fetches a newer one by itself, as a Go module
_SHOW_EVERY = 2.0  # seconds

Progress = Callable[[str], None]


class EngineError(Exception):
    """No engine can be had; the message says what to install."""


def install(version: str, target: Path, progress: Progress) -> bool:
    """Puts the official binaries of the version into `target`; False where the installer's host cannot be reached."""
    try:
        with urllib.request.urlopen(_INSTALLER, timeout=_PATIENCE) as answer:
            script = answer.read()
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
    progress(f"installing Pulumi {version} with the official installer")
    with tempfile.TemporaryDirectory(dir=target) as root:
        file = Path(root) / "install.sh"
        file.write_bytes(script)
        command = ["sh", str(file), "--version", version, "--install-root", root, "--no-edit-path"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        made = Path(root) / "bin"
        if done.returncode != 0 or not (made / "pulumi").exists():
            progress(f"the official installer failed: {done.stdout.strip().splitlines()[-1:]}")
            return False
        for binary in made.iterdir():
            binary.rename(target / binary.name)
    return True


def build(version: str, module: Path, target: Path, progress: Progress) -> None:
    """Builds `target`/pulumi from the Go module in `module`: about four minutes and 3 GB of Go's own caches, once."""
    go, environment = _find_go()
    progress(f"building Pulumi {version} from its Go modules: about 4 minutes on 2 cores, once")
    linker = ["-ldflags", f"-s -w -X {_VERSION_VARIABLE}=v{version}"]
    command = [go, "build", "-v", "-trimpath", "-buildvcs=false", *linker, "-o", str(target / "pulumi"), _PACKAGE]
    started = shown = time.monotonic()
    compiled = 0
    tail: list[str] = []
    with subprocess.Popen(
        command, cwd=module, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr or ():
                tail = [*tail[-9:], line.rstrip()]
                compiled += 1
                if time.monotonic() - shown >= _SHOW_EVERY:
                    shown = time.monotonic()
                    progress(f"building Pulumi {version}: {compiled} packages in {shown - started:.0f} s")
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise EngineError("Pulumi could not be built from its Go modules:\n" + "\n".join(tail))


def _find_go() -> tuple[str, dict[str, str]]:
    """Returns the newest `go` and its environment."""
    debian = map(str, Path("/usr/lib").glob("go-*/bin/go"))  # several versions, of which one is on the path
    places = ["go", "/usr/local/go/bin/go", *debian]
    found = {path: _read_go_version(path) for place in places if (path := shutil.which(place))}
    go = max(found, key=lambda path: found[path], default=None)
    if go is None or found[go] < _OLDEST_GO:
        there = f"only Go {'.'.join(map(str, found[go]))}" if go else "no Go"
        raise EngineError(
            f"The Pulumi engine is missing. {_INSTALLER} cannot be reached, and to build the engine there is {there}.\n"
            "Install Pulumi 3.200 or newer (https://www.pulumi.com/docs/iac/download-install/), or Go 1.21 or newer:\n"
            "  Debian 12 with backports:  apt-get install -t bookworm-backports golang-go\n"
            "  Ubuntu 24.04, Debian 13:   apt-get install golang-go"
        )
    environment = dict(os.environ)
    if found[go] < _NEEDED_GO:
        environment["GOTOOLCHAIN"] = "auto"  # fetches the version that go.mod names through Go's module proxy
    return go, environment


def _read_go_version(go: str) -> tuple[int, ...]:
    # GOTOOLCHAIN=local: asked for itself, not for what a go.mod of the working directory would make it fetch.
    command = [go, "env", "GOVERSION"]
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", check=False).stdout
    match = re.match(r"go(\d+)\.(\d+)", shown)
    return tuple(map(int, match.groups())) if match else (0,)
