"""Images of local machines: `webitel-base-<key>`, and `webitel-packages-<key>` with a deployment's packages in it."""

import hashlib
import http.client
import subprocess
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tools.host.fetching import Progress, SetupError
from tools.host.locks import cache_folder, lock
from tools.incus import api, builder, stored
from tools.incus.apt import format_debian_sources
from tools.incus.rootfs import RECIPE, make_rootfs, read_packages, read_recipe, write_metadata

_BASE = "webitel-base-"
_PACKAGES = "webitel-packages-"
_PUBLIC_SERVER = "images.linuxcontainers.org"
_PUBLIC_IMAGE = "images:debian/12/cloud"
_PUBLIC_SECONDS = 3
_KEPT_UNUSED = timedelta(days=14)


def ensure_base_image(progress: Progress) -> str:
    """Return the alias of the base image, Debian 12 with cloud-init; made anew monthly and when its recipe changes.

    Raises SetupError with what mmdebstrap, apt or Incus said.
    """
    now = datetime.now(UTC)
    key = hashlib.sha256(read_recipe() + now.strftime("%Y-%m").encode()).hexdigest()[:12]
    alias = _BASE + key
    with _lock(progress):
        if not _exists(alias):
            _make_base_image(alias, cache_directory() / f"{alias}.tar", progress)
            stored.mark_used(cache_directory() / f"{alias}.tar")
            stored.keep_newest(cache_directory(), _BASE)
            _remove_aliases(_BASE, keep=alias, unused_since=datetime.now(UTC) - _KEPT_UNUSED)
    return alias


def _make_base_image(alias: str, rootfs: Path, progress: Progress) -> None:
    if not rootfs.exists() and _reaches_public_server():
        try:
            _take_public_image(alias, progress)
            return
        except (SetupError, api.IncusError) as error:
            progress(f"{_PUBLIC_IMAGE} is of no use ({error})")
    if not rootfs.exists():
        make_rootfs(rootfs, progress)
    progress("importing the base image")
    metadata = rootfs.with_suffix(".metadata.tar")
    write_metadata(metadata, "Webitel base machine, Debian 12")
    try:
        _incus("image", "import", str(metadata), str(rootfs), "--alias", alias)
    finally:
        metadata.unlink()


def _reaches_public_server() -> bool:
    connection = http.client.HTTPSConnection(_PUBLIC_SERVER, timeout=_PUBLIC_SECONDS)
    try:
        connection.request("HEAD", "/streams/v1/index.json")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _take_public_image(alias: str, progress: Progress) -> None:
    """Make the base image from the public one, which has no SSH server and waits for the network."""
    progress(f"fetching {_PUBLIC_IMAGE}")
    public = "webitel-public"
    _incus("image", "copy", _PUBLIC_IMAGE, "local:", "--alias", public)
    try:
        make_from_image(alias, public, progress)
    finally:
        _remove_aliases(public)


def make_from_image(alias: str, source: str, progress: Progress) -> None:
    """Make the base image from another Debian 12 image of this host, one that has cloud-init's templates."""
    settings = (RECIPE / "cloud.cfg").read_text()
    steps = (
        "set -e\nexport DEBIAN_FRONTEND=noninteractive\n"
        f"{_replace_sources()}"
        f"apt-get -q update\napt-get -qy install --no-install-recommends {' '.join(read_packages())}\n"
        f"cat >/etc/cloud/cloud.cfg.d/90_webitel.cfg <<'END'\n{settings}END\n"
    )
    with builder.start_builder(source, None, progress):
        progress("installing what every machine has")
        builder.run_script(steps)
        builder.run_script((RECIPE / "prepare.sh").read_text())
        builder.publish(alias, "Webitel base machine, Debian 12", progress)


def _replace_sources() -> str:
    """Script lines that give a machine this host's mirror; none where this host knows no mirror of Debian."""
    sources = format_debian_sources()
    if not sources:
        return ""
    return (
        "rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*\n"
        f"cat >/etc/apt/sources.list.d/debian.sources <<'END'\n{sources}END\n"
    )


def ensure_packages_image(key: str, user_data: str, progress: Progress) -> str:
    """Return the alias of an image on which that user data has run, so that its packages are there already.

    `key` names what the user data depends on; a new base image makes a new one too. An error shows the last lines of
    the machine's own output.
    """
    base = ensure_base_image(progress)
    alias = f"{_PACKAGES}{key}-{base.removeprefix(_BASE)[:6]}"
    with _lock(progress):
        file = cache_directory() / f"{alias}.tar"
        if not _exists(alias) and file.exists():
            progress("importing the image with packages")
            _incus("image", "import", str(file), "--alias", alias)
        stored.mark_used(file)
        if not _exists(alias):
            with builder.start_builder(base, user_data, progress):
                builder.wait_for_install(progress)
                builder.publish(alias, f"Webitel machine with packages, {key}", progress)
            _remove_aliases(_PACKAGES, keep=alias, unused_since=datetime.now(UTC) - _KEPT_UNUSED)
    return alias


def store_images(progress: Progress) -> None:
    """Take our images out of Incus and keep what is slow to make as files in the cache: the next `up` imports them."""
    progress("putting the images away")
    with _lock(progress):
        for image in sorted(api.list_objects("/images"), key=lambda image: str(image["uploaded_at"])):
            for name in (alias["name"] for alias in image["aliases"] if alias["name"].startswith(_PACKAGES)):
                file = cache_directory() / f"{name}.tar"
                if not file.exists():
                    _incus("image", "export", name, str(file.with_suffix(".part")), "--quiet")
                    file.with_suffix(".part.tar").replace(file)
        stored.keep_newest(cache_directory(), _PACKAGES)
        _remove_aliases("webitel-")


def remove_images(progress: Progress) -> None:
    """Remove our images from Incus, what an interrupted build left, and the cached root file systems."""
    progress("removing images")
    with _lock(progress):
        builder.remove_builder()
        _remove_aliases("webitel-")
        for prefix in (_BASE, _PACKAGES):
            for file in cache_directory().glob(f"{prefix}*"):
                file.unlink()


def _exists(alias: str) -> bool:
    return api.find(f"/images/aliases/{alias}") is not None


def _remove_aliases(prefix: str, keep: str | None = None, unused_since: datetime | None = None) -> None:
    """Remove the images all of whose aliases start so; with a time those that nobody has used since then."""
    for image in api.list_objects("/images"):
        names = [alias["name"] for alias in image["aliases"]]
        if not names or keep in names or not all(name.startswith(prefix) for name in names):
            continue
        times = [datetime.fromisoformat(image[key]) for key in ("last_used_at", "uploaded_at")]
        if unused_since is None or max(times) < unused_since:
            api.remove(f"/images/{image['fingerprint']}")


def _incus(*arguments: str) -> None:
    command = ["incus", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{' '.join(command)} failed: {done.stderr.strip()}")


def cache_directory() -> Path:
    """Directory of what can be made again."""
    directory = cache_folder()
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _lock(progress: Progress) -> AbstractContextManager[None]:
    return lock(cache_directory() / "images.lock", "making an image", progress)
