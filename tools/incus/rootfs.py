"""The root file system of a base machine: Debian 12 by mmdebstrap, in the shape that `incus image import` takes."""

import platform
import tarfile
import tempfile
import time
from pathlib import Path

from tools.host.apt import DEBIAN_KEYRING, install, require_root
from tools.host.fetching import Progress, fetch, list_hosts, run
from tools.incus.apt import format_debian_sources, read_debian_sources

RECIPE = Path(__file__).parent / "image"
"""What a base image is made of: its packages, cloud-init's settings, what is switched off, Incus templates."""


def read_recipe() -> bytes:
    """Return all that an image depends on, except for the time."""
    files = sorted(path for path in RECIPE.rglob("*") if path.is_file())
    texts = [f"{file.relative_to(RECIPE)}\0{file.read_text()}" for file in files]
    return "\0".join([platform.machine(), format_debian_sources(), *texts]).encode()


def read_packages() -> list[str]:
    """Return the packages of a base machine."""
    return (RECIPE / "packages.txt").read_text().split()


def make_rootfs(target: Path, progress: Progress) -> None:
    """Make the root file system as a tar file, about 30 s; the error is what mmdebstrap said."""
    require_root("Making the base image")
    install(["mmdebstrap", *([] if DEBIAN_KEYRING.exists() else ["debian-archive-keyring"])], progress)
    progress("making the base image with mmdebstrap (once a month, half a minute)")
    partial = target.with_suffix(".partial")
    with tempfile.TemporaryDirectory() as temporary:
        sources = Path(temporary, "debian.sources")
        sources.write_text(format_debian_sources())
        mirrors = [str(sources)] if sources.stat().st_size else []
        command = [
            *("mmdebstrap", "--quiet", "--variant=apt", "--format=tar", f"--include={','.join(read_packages())}"),
            # Its "reproducible" clean-up would make the first boot a "first boot".
            *("--skip=cleanup/reproducible", "--keyring", str(DEBIAN_KEYRING)),
            f"--customize-hook=upload {RECIPE / 'cloud.cfg'} /etc/cloud/cloud.cfg.d/90_webitel.cfg",
            f'--customize-hook=chroot "$1" sh -s <{RECIPE / "prepare.sh"}',
            *("bookworm", str(partial), *mirrors),
        ]
        try:
            fetch(
                "making the base image (mmdebstrap)",
                lambda: run(command),
                progress,
                configured=lambda: list_hosts(list(read_debian_sources().values())),
            )
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    partial.rename(target)


def write_metadata(target: Path, description: str) -> None:
    """Write the other half of an Incus image: what it is, and the templates that make cloud-init's seed."""
    head = (
        f"architecture: {platform.machine()}\ncreation_date: {int(time.time())}\n"
        f'properties: {{description: "{description}", os: debian, release: bookworm}}\n'
    )
    with tempfile.TemporaryDirectory() as temporary, tarfile.open(target, "w") as tar:
        file = Path(temporary, "metadata.yaml")
        file.write_text(head + (RECIPE / "metadata.yaml").read_text())
        tar.add(file, "metadata.yaml")
        tar.add(RECIPE / "templates", "templates")
