"""The two ways to get a `pulumi`: the official binaries and its Go modules."""

import hashlib
import http.client
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
from pathlib import Path
from typing import IO

from tools.engine.go import NoGoError, get_go, install_command
from tools.host.fetching import PAUSES_SECONDS, Progress, fetch, run
from tools.host.pace import Pace

_DOWNLOADS = "https://get.pulumi.com"
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_PATIENCE = 5.0  # seconds for that host to answer: many networks let only package mirrors through
_STALLED = 30.0  # seconds without a byte
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_HOPELESS = re.compile(r"no space left|permission denied|read-only file system", re.IGNORECASE)


class EngineError(Exception):
    """No engine can be had; the message says what to install."""


def install(version: str, target: Path, progress: Progress) -> bool:
    """Put the official binaries of the version into `target`; False where they cannot be fetched.

    They come from the archive that the official installer fetches too. The installer itself is not run: it needs curl
    and edits the user's shell profile. The archive must have the checksum that the release publishes beside it: what a
    cache or a proxy spoilt or mixed up is refused. Both come over the same TLS from the same host, so whoever owns that
    host is not found out by it.
    """
    archive = f"pulumi-v{version}-{platform.system().lower()}-{_ARCHITECTURES.get(platform.machine())}.tar.gz"
    url = f"{_DOWNLOADS}/releases/sdk/{archive}"
    for pause in (*PAUSES_SECONDS, None):
        answer = _open(url)
        if answer is None:
            progress(f"{_DOWNLOADS} cannot be reached")
            return False
        progress(f"fetching {archive}")
        if _take(answer, archive, f"{_DOWNLOADS}/releases/sdk/pulumi-{version}-checksums.txt", target, progress):
            return True
        if pause is not None:
            time.sleep(pause)
    return False


def _take(answer: http.client.HTTPResponse, archive: str, sums: str, target: Path, progress: Progress) -> bool:
    try:
        # First into a file: read as a stream, an archive that breaks off between two members looks complete.
        with answer, tempfile.TemporaryFile() as file:
            shutil.copyfileobj(answer, file)
            file.seek(0)
            _check(hashlib.file_digest(file, "sha256").hexdigest(), archive, sums)
            file.seek(0)
            _unpack(file, target)
    except (OSError, EOFError, http.client.HTTPException, tarfile.TarError) as error:
        progress(f"fetching {_DOWNLOADS} failed: {error}")
        for left in target.iterdir():
            left.unlink()
        return False
    return True


def _check(digest: str, archive: str, sums: str) -> None:
    """Raise an OSError where the file with the checksums of the release (`sha256sum`) has another one for the archive."""
    answer = _open(sums)
    if answer is None:
        raise OSError(f"{sums} cannot be read")
    with answer:
        lines = [line.split() for line in answer.read().decode(errors="replace").splitlines()]
    published = next((words[0] for words in lines if words[1:] == [archive]), None)
    if published is None:
        raise OSError(f"{sums} does not name it")
    if digest != published:
        raise OSError(f"its SHA-256 is {digest}, and {published} in {sums}")


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
    """Build `target`/pulumi from the Go module in `module`: about four minutes and 3 GB of Go's own caches, once."""
    try:
        go = get_go(progress)
    except NoGoError as found:
        raise EngineError(
            f"The Pulumi engine is missing: nothing could be fetched from {_DOWNLOADS}, and to build it there is {found}.\n"
            f"Run this once: {install_command()}\n"
            "Or install Go 1.21 or newer, or Pulumi 3.200 or newer (https://www.pulumi.com/docs/iac/download-install/)."
        ) from found
    progress(f"building Pulumi {version} from its Go modules: about 4 minutes on 2 cores, once")
    packages = fetch(
        "fetching Pulumi's Go modules",
        lambda: run([go.program, "list", "-deps", _PACKAGE], go.environment, module),
        progress,
        hopeless=_HOPELESS,
        configured=go.list_proxies,
    ).split()
    linker = ["-ldflags", f"-s -w -X {_VERSION_VARIABLE}=v{version}"]
    command = [
        go.program,
        "build",
        "-v",
        "-trimpath",
        "-buildvcs=false",
        "-gcflags=all=-dwarf=false",
        *linker,
        "-o",
        str(target / "pulumi"),
        _PACKAGE,
    ]
    pace = Pace(progress)
    started = time.monotonic()
    compiled = 0
    tail: list[str] = []
    # Not in /tmp, which on a small machine is half of its memory.
    environment = {"GOTMPDIR": str(target), **go.environment}
    with subprocess.Popen(
        command, cwd=module, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr or ():
                tail = [*tail[-9:], line.rstrip()]
                compiled += 1
                seconds = time.monotonic() - started
                pace.say(f"building Pulumi {version}", f"{compiled} of {len(packages)} packages, {seconds:.0f} s")
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise EngineError("Pulumi could not be built from its Go modules:\n" + "\n".join(tail))
