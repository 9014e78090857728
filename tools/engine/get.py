"""The two ways to get a `pulumi`: the official binaries and its Go modules."""

import http.client
import os
import platform
import queue
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

_DOWNLOADS = "https://get.pulumi.com"
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_PATIENCE = 5.0  # seconds for that host to answer: many networks let only package mirrors through
_STALLED = 30.0  # seconds without a byte
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
# Debian installs several versions side by side, of which one is on the path.
_GO_PLACES = ["go", "/usr/local/go/bin/go", *map(str, Path("/usr/lib").glob("go-*/bin/go"))]
_OLDEST_GO = (1, 21)  # the first that fetches the newer one it needs by itself, as a Go module
_SHOW_EVERY = 2.0  # seconds

Progress = Callable[[str], None]


class EngineError(Exception):
    """No engine can be had; the message says what to install."""


def install(version: str, target: Path, progress: Progress) -> bool:
    """Puts the official binaries of the version into `target`; False where they cannot be fetched.

    They come from the archive that the official installer fetches too. The installer itself is not run: it needs curl
    and edits the user's shell profile.
    """
    archive = f"pulumi-v{version}-{platform.system().lower()}-{_ARCHITECTURES.get(platform.machine())}.tar.gz"
    answer = _open(f"{_DOWNLOADS}/releases/sdk/{archive}")
    if answer is None:
        progress(f"{_DOWNLOADS} cannot be reached")
        return False
    progress(f"fetching {archive}")
    try:
        # First into a file: read as a stream, an archive that breaks off between two members looks complete.
        with answer, tempfile.TemporaryFile() as file:
            shutil.copyfileobj(answer, file)
            file.seek(0)
            _unpack(file, target)
    except (OSError, EOFError, http.client.HTTPException, tarfile.TarError) as error:
        progress(f"fetching {archive} failed: {error}")
        for left in target.iterdir():
            left.unlink()
        return False
    return True


def _unpack(archive: IO[bytes], target: Path) -> None:
    with tarfile.open(fileobj=archive, mode="r:gz") as members:
        for member in members:
            if content := members.extractfile(member):  # None for a folder
                binary = target / Path(member.name).name
                with binary.open("wb") as file:
                    shutil.copyfileobj(content, file)
                binary.chmod(0o755)


def _open(url: str) -> http.client.HTTPResponse | None:
    answers: queue.Queue[http.client.HTTPResponse | None] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=_STALLED))
        except (OSError, http.client.HTTPException):  # URLError and time-outs are OSErrors
            answers.put(None)

    # In a thread: no time-out of Python's reaches a resolver that does not answer.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=_PATIENCE)
    except queue.Empty:
        return None


def build(version: str, module: Path, target: Path, progress: Progress) -> None:
    """Builds `target`/pulumi from the Go module in `module`: about four minutes and 3 GB of Go's own caches, once."""
    go, environment = _find_go()
    progress(f"building Pulumi {version} from its Go modules: about 4 minutes on 2 cores, once")
    linker = ["-ldflags", f"-s -w -X {_VERSION_VARIABLE}=v{version}"]
    command = [go, "build", "-v", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", *linker,
               "-o", str(target / "pulumi"), _PACKAGE]
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
    found = {path: _read_go_version(path) for place in _GO_PLACES if (path := shutil.which(place))}
    go = max(found, key=lambda path: found[path], default=None)
    if go is None or found[go] < _OLDEST_GO:
        there = f"only Go {'.'.join(map(str, found[go]))}" if go else "no Go"
        raise EngineError(
            f"The Pulumi engine is missing: nothing could be fetched from {_DOWNLOADS}, and to build it there is {there}.\n"
            "Install Pulumi 3.200 or newer (https://www.pulumi.com/docs/iac/download-install/), or Go 1.21 or newer:\n"
            "  Debian 12 with backports:  apt-get install -t bookworm-backports golang-go\n"
            "  Ubuntu 24.04, Debian 13:   apt-get install golang-go"
        )
    # An older Go fetches the one that go.mod names through the module proxy; some machines switch that off.
    # The compiler's own garbage costs more time than memory: at most 1.5 GB for each of the largest packages.
    return go, {"GOGC": "400", **os.environ, "GOTOOLCHAIN": "auto"}


def _read_go_version(go: str) -> tuple[int, ...]:
    # GOTOOLCHAIN=local: asked for itself, not for what a go.mod of the working directory would make it fetch.
    command = [go, "env", "GOVERSION"]
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", check=False).stdout
    match = re.match(r"go(\d+)\.(\d+)", shown)
    return tuple(map(int, match.groups())) if match else (0,)
