"""The real provider of libvirt, built from its Go module by the small program in `provider/`: once for each of its inputs."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from tools.engine.go import get_go
from tools.host.fetching import Progress, fetch, run
from tools.host.locks import cache_folder, lock

SOURCE = Path(__file__).resolve().parent / "provider"
VERSION = "0.5.4"
"""Of the SDK, which asks for the provider of the same one."""


def make_plugin(progress: Progress) -> Path:
    """Return the program; two to twenty minutes where it has to be built. Raises SetupError, NoGoError."""
    inputs = b"\0".join((SOURCE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    program = cache_folder() / f"libvirt-provider-{hashlib.sha256(inputs).hexdigest()[:12]}"
    with lock(cache_folder() / "libvirt-provider.lock", "building the provider of libvirt", progress):
        if not program.exists():
            progress("building the provider of libvirt from its Go module: minutes, once")
            go = get_go(progress)
            with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
                part = Path(folder) / program.name
                options = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-gcflags=all=-dwarf=false"]
                command = [go.program, "build", *options, "-o", str(part), "."]
                environment = {"GOTMPDIR": folder, **go.environment}
                fetch(
                    "building the provider of libvirt",
                    lambda: run(command, environment, SOURCE),
                    progress,
                    configured=go.list_proxies,
                )
                part.rename(program)
    return program


def install_plugin(home: Path, progress: Progress) -> None:
    """Put the provider where the engine of this home finds it, as `pulumi plugin install` does."""
    folder = home / "plugins" / f"resource-libvirt-v{VERSION}"
    folder.mkdir(parents=True)
    (folder / "pulumi-resource-libvirt").symlink_to(make_plugin(progress))
