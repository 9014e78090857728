"""libvirt's own program on this machine, `virsh`, for what no function of its provider tells or does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

SECONDS = 30.0
"""For one answer."""


class VirshError(OSError):
    """What `virsh` said, or why it could not be asked."""


def read_uri(setting: Callable[[str], str]) -> str:
    """Return the address that the provider uses too."""
    return setting("libvirt:uri") or os.environ.get("LIBVIRT_DEFAULT_URI", "")


def ask(uri: str, *words: str) -> str:
    """Return what a command of `virsh` prints. Raises VirshError."""
    try:
        ran = subprocess.run(
            ["virsh", "--quiet", "--connect", uri, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise VirshError("virsh is not on this machine: apt install libvirt-clients") from error
    except subprocess.TimeoutExpired as error:
        raise VirshError(f"virsh {words[0]}: no answer within {SECONDS:.0f} s") from error
    if ran.returncode:
        raise VirshError(ran.stderr.strip().removeprefix("error: ") or f"virsh {words[0]}: exit status {ran.returncode}")
    return ran.stdout


def list_volumes(uri: str) -> dict[tuple[str, str], str]:
    """Return the path of every volume by its pool and name."""
    pools = ask(uri, "pool-list", "--name").split()
    return {(pool, name): path for pool in pools for name, path in read_table(ask(uri, "vol-list", pool))}


def read_table(text: str) -> Iterator[tuple[str, str]]:
    """Yield the two columns of a table without its head, as `--quiet` prints it; the first has no blanks."""
    for line in text.splitlines():
        name, _, rest = line.strip().partition(" ")
        if rest:
            yield name, rest.strip()


def read_fields(text: str) -> dict[str, str]:
    """Return the values of lines such as `State:  running`."""
    return {name.strip(): value.strip() for name, found, value in (line.partition(":") for line in text.splitlines()) if found}
