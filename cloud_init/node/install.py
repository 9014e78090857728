"""Install packages on a node, with no service started by it. Runs at boot and again with each configuration.

Reads /etc/webitel/packages.json: {"suites": {suite: [package]}, "repositories": [{name, uri, suite, component, key,
fingerprint}], "packages": [name], "units": [name]}. Progress goes to /run/webitel/install.json:
{"step": str, "done": int, "total": int, "error": str}. Standard library only.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

PLAN = pathlib.Path("/etc/webitel/packages.json")
PROGRESS = pathlib.Path("/run/webitel/install.json")
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
FORBIDDEN = "#!/bin/sh\nexit 101\n"
CONFIGURED = pathlib.Path("/etc/webitel/node.json")
SOURCES = pathlib.Path("/etc/apt/sources.list.d")
RINGS = pathlib.Path("/usr/share/keyrings")
LOG = pathlib.Path("/var/log/webitel-install.log")
UNSYNCED = pathlib.Path("/var/lib/webitel/unsynced")
"""Holds the boots in which the first installation was under way, until its files are on the disk."""
BOOT = pathlib.Path("/proc/sys/kernel/random/boot_id")
GIVEN = pathlib.Path("/var/lib/webitel/host.json")
"""Is there on a host that was given, where dpkg's database says what its owner installed."""
DATABASE = pathlib.Path("/var/lib/dpkg")
BESIDE = pathlib.Path("/run/webitel/dpkg")
AT_CWD, EXCHANGE = -100, 2
"""renameat2(2): from the working directory, and both names at once."""
SETTINGS = pathlib.Path("/etc")
QUICK = ("-o", "Dpkg::Options::=--force-unsafe-io")
"""Unpacking without waiting for the disk after each file: a seventh of what dpkg takes (`facts/first-boot.md` 2)."""
KEEP = ("--force-confdef", "--force-confold")
"""A configuration file that differs from its package's stays as it is."""
LOST_TOO = (*KEEP, "--force-confmiss")
"""One that is gone is put back (`facts/first-boot.md` 8)."""
RENEW = ("--force-confnew", "--force-confmiss")
"""One that differs is replaced: what a machine that was cut off has there is nobody's (`facts/first-boot.md` 11)."""
DIVERTED = [pathlib.Path("/usr/bin/pg_config"), pathlib.Path("/usr/bin/pg_config.libpq-dev")]
"""postgresql-common moves what has the first name to the second, its own program too once the database has forgotten both; where
the second is there it cannot, and is not installed (`facts/first-boot.md` 11)."""
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
DATABASE_TRIES = 60

OFFLINE = {"SYSTEMD_OFFLINE": "1"}
"""systemctl leaves running units alone (`facts/first-boot.md` 3). Every package with a unit would have systemd read all of them
anew, some thirty times in a first installation, in which none is started."""

DAILY_LOCK = pathlib.Path("/var/lib/apt/daily_lock")
"""What Debian's own timers hold while they read lists and install: who holds it has apt to itself (`facts/updates.md` 2)."""
DAILY_SECONDS = 1200.0
DAILY_HELD: list[pathlib.Path] = []

TRIES = 5
PATIENCE = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30")
"""The tries are ours: apt's own, with their growing pauses for each of a hundred packages, take many minutes to give up."""

NATIVE = {"SYSTEMCTL_SKIP_SYSV": "1"}
"""Without it systemctl enables a unit's old-style script as well: two reloads of all units, 0.4 s, for each."""


class InstallError(Exception):
    """Packages could not be installed; the text ends with what apt said."""


def report(step: str, done: int = 0, total: int = 0, error: str = "") -> None:
    PROGRESS.parent.mkdir(parents=True, exist_ok=True)
    fresh = PROGRESS.with_suffix(".new")
    fresh.write_text(json.dumps({"step": step, "done": done, "total": total, "error": error}))
    fresh.replace(PROGRESS)


def debian_mirror() -> str:
    """Find the mirror this machine's own apt sources use for Debian itself."""
    texts = [p.read_text() for p in [pathlib.Path("/etc/apt/sources.list"), *sorted(SOURCES.glob("*"))] if p.is_file()]
    for text in texts:
        for uri in re.findall(r"(?:^URIs:\s*|^deb\s+(?:\[[^]]*\]\s+)?)(\S+)", text, re.MULTILINE):
            if uri.rstrip("/").endswith("/debian"):
                return str(uri)
    raise InstallError("no Debian mirror in /etc/apt/sources.list or /etc/apt/sources.list.d")


def write_suites(suites: dict[str, list[str]]) -> None:
    """Another Debian suite, pinned so low that only the named packages come from it."""
    for suite, packages in suites.items():
        (SOURCES / f"webitel-{suite}.sources").write_text(
            f"Types: deb\nURIs: {debian_mirror()}\nSuites: {suite}\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        )
        pathlib.Path(f"/etc/apt/preferences.d/webitel-{suite}").write_text(
            f"Package: *\nPin: release n={suite}\nPin-Priority: 50\n\n"
            f"Package: {' '.join(packages)}\nPin: release n={suite}\nPin-Priority: 500\n"
        )


def run_gpg(home: str, *arguments: str, given: bytes = b"") -> bytes:
    """Return what gpg says, with nothing but a folder of its own."""
    command = ["gpg", "--homedir", home, "--batch", "--quiet", "--no-options", "--no-autostart", *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=False).stdout


def list_keys(home: str, given: bytes) -> list[str]:
    """List the fingerprints of the keys, not of their subkeys: any key can take on another one's."""
    shown = run_gpg(home, "--show-keys", "--with-colons", given=given).decode(errors="replace")
    return re.findall(r"^pub:.*\n(?:(?!fpr:).*\n)*fpr:+([0-9A-F]{40,}):", shown, re.MULTILINE)


def take_key(given: bytes, fingerprint: str) -> tuple[bytes, list[str]]:
    """Export the one key of that fingerprint and nothing else that was given, b"" without it; and all fingerprints given."""
    with tempfile.TemporaryDirectory(dir=PROGRESS.parent) as home:
        found = list_keys(home, given)
        if fingerprint not in found:
            return b"", found
        run_gpg(home, "--import", given=given)
        key = run_gpg(home, "--export", fingerprint)
        return key if list_keys(home, key) == [fingerprint] else b"", found


def write_ring(repository: dict[str, str], ring: pathlib.Path) -> None:
    """Fetch the key of a repository, accepted by its fingerprint only: it alone opens the repository."""
    name, wanted = repository["name"], repository["fingerprint"]
    PROGRESS.parent.mkdir(parents=True, exist_ok=True)
    before = ring.read_bytes() if ring.exists() else b""
    key, _ = take_key(before, wanted)
    if not key:
        # apt's own download knows the credentials in /etc/apt/auth.conf.d and the machine's proxy.
        fetched = PROGRESS.with_name(f"{name}.key")
        done = subprocess.run(
            ["/usr/lib/apt/apt-helper", "download-file", repository["key"], str(fetched)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            raise InstallError(f"repository {name}: no key at {repository['key']}: {(done.stderr + done.stdout).strip()}")
        key, found = take_key(fetched.read_bytes(), wanted)
        if not key:
            raise InstallError(f"repository {name}: no key {wanted} at {repository['key']}, but {', '.join(found) or 'none'}")
    if key != before:
        fresh = ring.with_suffix(".new")
        fresh.write_bytes(key)
        fresh.chmod(0o644)
        fresh.replace(ring)


def add_repository(repository: dict[str, str]) -> None:
    """Set up a repository outside Debian."""
    name, ring = repository["name"], RINGS / f"webitel-{repository['name']}.gpg"
    if repository.get("key"):
        write_ring(repository, ring)
    signed = f"Signed-By: {ring}\n" if repository.get("key") else "Trusted: yes\n"
    component = f"Components: {repository['component']}\n" if repository.get("component") else ""
    (SOURCES / f"webitel-{name}.sources").write_text(
        f"Types: deb\nURIs: {repository['uri']}\nSuites: {repository['suite']}\n{component}{signed}"
    )


def list_missing(packages: list[str], versions: dict[str, str]) -> list[str]:
    """Those that are not installed, or not in their version of `versions`, in the given order."""
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [line.split() for line in shown.stdout.splitlines()]
    installed = {row[1]: row[2] for row in rows if row[0] == "installed"}
    return [
        package
        for package in packages
        if package not in installed or installed[package] != versions.get(package, installed[package])
    ]


def disable(units: list[str]) -> None:
    """Stop those units that exist and keep them from starting at boot."""
    if not units:
        return  # systemctl lists all there are where none is named.
    # One call, as systemd reads all its units anew after each; one unknown name in it refuses them all.
    names = [unit if "." in unit else f"{unit}.service" for unit in units]
    shown = subprocess.run(
        ["systemctl", "list-unit-files", "--no-legend", "--plain", *names], capture_output=True, text=True, check=False
    ).stdout
    if found := [line.split()[0] for line in shown.splitlines() if line.strip()]:
        subprocess.run(["systemctl", "disable", "--now", "-q", *found], capture_output=True, check=False, env=os.environ | NATIVE)


@contextlib.contextmanager
def apt_to_itself() -> Iterator[None]:
    """Have the machine's own updates wait meanwhile; wait for those that run already."""
    if DAILY_HELD or not DAILY_LOCK.parent.is_dir():
        yield
        return
    with DAILY_LOCK.open("a") as lock:
        until = time.monotonic() + DAILY_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise InstallError(f"apt-daily.service did not end within {DAILY_SECONDS:.0f} s") from error
                report("waiting for the machine's own updates")
                time.sleep(1)
        DAILY_HELD.append(DAILY_LOCK)
        try:
            yield
        finally:
            DAILY_HELD.clear()


def run_apt(arguments: list[str], step: str, total: int, forces: tuple[str, ...] = KEEP) -> None:
    """apt-get with its status read line by line; the error holds its last lines. `forces` are dpkg's."""
    reading, writing = os.pipe()
    command = [
        "apt-get",
        "-qy",
        *(word for force in forces for word in ("-o", f"Dpkg::Options::={force}")),
        "-o",
        f"APT::Status-Fd={writing}",
        "-o",
        "DPkg::Lock::Timeout=300",
        # Descriptions in other languages: nobody reads them here, and they are half of what the lists weigh.
        "-o",
        "Acquire::Languages=none",
        *PATIENCE,
        *arguments,
    ]
    with apt_to_itself(), LOG.open("a") as sink:
        start = sink.tell()
        process = subprocess.Popen(
            command,
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            pass_fds=[writing],
            env={
                **os.environ,
                "DEBIAN_FRONTEND": "noninteractive",
                "LC_ALL": "C.UTF-8",
                # What scripts of packages copy to /etc is put back as well.
                **({"UCF_FORCE_CONFFMISS": "1"} if "--force-confmiss" in forces else {}),
                **({} if CONFIGURED.exists() else OFFLINE),
            },
        )
        os.close(writing)
        seen = set()
        with os.fdopen(reading) as status:
            for line in status:
                kind, package = [*line.split(":"), "", ""][:2]
                if kind == "pmstatus" and "Installed" in line:
                    seen.add(package)
                report(step if kind != "dlstatus" else "downloading packages", len(seen), max(total, len(seen)))
    if process.wait() != 0:
        said = LOG.read_bytes()[start:].decode(errors="replace").strip().splitlines()
        verb = next(word for word in arguments if word in ("update", "install"))
        raise InstallError(f"apt-get {verb} failed:\n" + "\n".join(said[-12:]))


def read_all_lists() -> str:
    """Read all package lists anew. Returns apt's error where one cannot be had: what is in the others can be installed still,
    and what is not would only be told as unknown."""
    try:
        run_apt(["-o", "APT::Update::Error-Mode=any", "update"], "package lists", 0)
    except InstallError as error:
        return str(error)
    return ""


def find_cause(said: str) -> str:
    """Find the first reason in apt's error, without the address of the list."""
    errors = [line.removeprefix("E: ") for line in said.splitlines() if line.startswith("E: ")] or said.splitlines()
    fetches = [line.split("  ", 1)[1].strip() for line in errors if line.startswith("Failed to fetch") and "  " in line]
    return (fetches or errors)[0]


def read_lists(source: str) -> None:
    """Fetch the package lists of one file of apt sources, the others left as they are."""
    run_apt(
        [
            "-o",
            f"Dir::Etc::SourceList={SOURCES / source}",
            "-o",
            "Dir::Etc::SourceParts=-",
            "-o",
            "APT::Get::List-Cleanup=0",
            "update",
        ],
        "package lists",
        0,
    )


@contextlib.contextmanager
def starts_forbidden() -> Iterator[None]:
    """No package starts its service meanwhile."""
    POLICY.write_text(FORBIDDEN)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def list_boots() -> list[str]:
    """List the boots in which the first installation was under way."""
    return UNSYNCED.read_text().split() if UNSYNCED.exists() else []


def begin_unsynced() -> bool:
    """Remember the boot in which packages are unpacked without waiting for the disk; whether an earlier one was cut off in it."""
    boots, boot = list_boots(), BOOT.read_text().strip()
    if boot not in boots:
        UNSYNCED.parent.mkdir(parents=True, exist_ok=True)
        fresh = UNSYNCED.with_suffix(".new")
        fresh.write_text("\n".join([*boots, boot]))
        if boots:
            began = UNSYNCED.stat().st_mtime
            os.utime(fresh, (began, began))
        fresh.replace(UNSYNCED)
        os.sync()
    return len(list_boots()) > 1


def end_unsynced() -> None:
    """Forget them, once the files are on the disk."""
    keep_database()
    if UNSYNCED.exists():
        os.sync()
        UNSYNCED.unlink()


def mend_unsynced() -> None:
    """Unpack anew what a boot that was cut off had unpacked without waiting for the disk: files of it can be empty."""
    if not UNSYNCED.exists() or BOOT.read_text().strip() in list_boots():
        return
    began = UNSYNCED.stat().st_mtime
    folder = DATABASE / "info"
    names = sorted(path.name.removesuffix(".list") for path in folder.glob("*.list") if path.stat().st_mtime >= began)
    forces = LOST_TOO if GIVEN.exists() else RENEW
    with apt_to_itself(), starts_forbidden():
        finish_dpkg(forces)  # what cannot be configured yet is unpacked anew by the next call
        if not GIVEN.exists():
            remove_emptied(began)
            if not (folder / "postgresql-common.list").exists():
                for path in DIVERTED:
                    path.unlink(missing_ok=True)
        if names:
            run_apt(["update"], "package lists", 0)
            remove_emptied_conffiles(names)
            run_apt(["install", "--reinstall", "--no-install-recommends", *names], "packages once more", len(names), forces)
    begin_unsynced()


def remove_emptied(began: float) -> None:
    """Remove files below /etc that were emptied since then: ucf would take them for edited, and keep them."""
    for path in SETTINGS.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size == 0 and path.stat().st_ctime >= began:
            path.unlink()


def remove_emptied_conffiles(packages: list[str]) -> None:
    """Remove configuration files that are empty and should not be: dpkg would take them for edited, and keep them."""
    command = ["dpkg-query", "-W", "-f", "${Conffiles}\n", *packages]
    for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
        name, digest = [*line.split(), "", ""][:2]
        path = pathlib.Path(name)
        if digest not in ("", EMPTY_MD5) and path.is_file() and path.stat().st_size == 0:
            path.unlink()


def finish_dpkg(forces: tuple[str, ...]) -> None:
    """Finish what dpkg was cut off from: apt refuses to go on from there."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["dpkg", *forces, "--configure", "-a"]
    subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=environment)


def lay_over() -> None:
    """Lay a copy in memory over dpkg's database, which waits for the disk some twenty times a package (`facts/first-boot.md` 10).

    The one on the disk stays as it was until the other takes its place, whole: a machine that is cut off finds the former, and
    installs everything over what is there. Where it cannot be, dpkg takes its time.
    """
    if GIVEN.exists() or os.path.ismount(DATABASE):
        return
    BESIDE.mkdir(parents=True, exist_ok=True)
    steps = (
        ["mount", "-t", "tmpfs", "-o", "mode=755", "webitel-dpkg", str(BESIDE)],
        ["cp", "-a", f"{DATABASE}/.", str(BESIDE)],
        ["mount", "--bind", str(BESIDE), str(DATABASE)],
    )
    all(subprocess.run(step, capture_output=True, check=False).returncode == 0 for step in steps)
    subprocess.run(["umount", str(BESIDE)], capture_output=True, check=False)


def keep_database() -> None:
    """Put the database in memory in the place of the one on the disk."""
    if not os.path.ismount(DATABASE):
        return
    fresh = DATABASE.with_name("dpkg.new")
    for _ in range(DATABASE_TRIES):
        shutil.rmtree(fresh, ignore_errors=True)
        copied = subprocess.run(["cp", "-a", str(DATABASE), str(fresh)], capture_output=True, text=True, check=False)
        if copied.returncode:
            raise InstallError(f"dpkg's database cannot be written to the disk: {copied.stderr.strip()}")
        os.sync()
        # Somebody who asks dpkg something holds it for a moment.
        if subprocess.run(["umount", str(DATABASE)], capture_output=True, check=False).returncode == 0:
            break
        time.sleep(1)
    else:
        raise InstallError(f"{DATABASE} is in use, and its database stays in memory: end what uses it (fuser -vm {DATABASE})")
    # Both names at once: at no moment is there none.
    if ctypes.CDLL(None, use_errno=True).renameat2(AT_CWD, os.fsencode(fresh), AT_CWD, os.fsencode(DATABASE), EXCHANGE):
        raise OSError(ctypes.get_errno(), f"{fresh} cannot take the place of {DATABASE}")
    os.sync()
    shutil.rmtree(fresh)


def install(
    packages: list[str],
    units: list[str],
    fresh_lists: bool = True,
    options: tuple[str, ...] = (),
    versions: dict[str, str] | None = None,
    more: bool = False,
) -> list[str]:
    """Install what is missing, or not of its version in `versions`, with every start of a service forbidden; returns that.

    Without `fresh_lists` the lists are read anew only when the first try fails; `more` is installed by the next call.
    """
    versions = versions or {}
    first = not CONFIGURED.exists()
    if first:
        options = (*options, *QUICK)
        mend_unsynced()
    if POLICY.is_file() and POLICY.read_text() == FORBIDDEN:
        POLICY.unlink()  # of a run that was killed: no security update would restart what it renews
    missing = list_missing(packages, versions)
    names = [f"{package}={versions[package]}" if package in versions else package for package in missing]
    if not missing:
        if first and not more:
            end_unsynced()
        return []
    with apt_to_itself(), starts_forbidden():
        forces = KEEP
        if first:
            forces = RENEW if begin_unsynced() and not GIVEN.exists() else KEEP
            lay_over()
        try:
            for attempt in range(1, TRIES + 1):
                if attempt > 1:
                    finish_dpkg(forces)
                unread = read_all_lists() if fresh_lists or attempt > 1 else ""
                if unread:
                    report(f"no package lists yet: {find_cause(unread)}")
                try:
                    run_apt([*options, "install", "--no-install-recommends", *names], "packages", len(missing), forces)
                    break
                except InstallError as error:
                    if attempt == TRIES:
                        raise InstallError("\n".join(filter(None, [unread, str(error)]))) from error
                    time.sleep(2 * attempt)
            # A service that starts before its configuration is there does harm: RabbitMQ then never joins a cluster.
            if first:
                subprocess.run(["systemctl", "daemon-reload"], capture_output=True, check=False)
                disable(units)
            subprocess.run(["apt-mark", "hold", *missing], capture_output=True, check=False)
        finally:
            if first:
                keep_database()
        if first and not more:
            end_unsynced()
    return missing


def prepare_sources(plan: dict[str, Any]) -> None:
    """Suites and repositories of the plan, each written when it is not there yet."""
    report("package sources")
    write_suites(plan["suites"])
    if any(repository.get("key") for repository in plan["repositories"]):
        install(["gnupg"], [], more=True)
    for repository in plan["repositories"]:
        add_repository(repository)


def main() -> int:
    plan = json.loads(PLAN.read_text())
    try:
        prepare_sources(plan)
        missing = install(plan["packages"], plan["units"])
        subprocess.run(["apt-get", "clean"], capture_output=True, check=False)
    except (InstallError, OSError) as error:
        report("failed", error=str(error))
        print(error, file=sys.stderr)
        return 1
    report("done", len(missing), len(missing))
    return 0


if __name__ == "__main__":
    sys.exit(main())
