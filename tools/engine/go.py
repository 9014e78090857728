"""Go, from which the engine is built where the official binaries cannot be fetched: found, or installed."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tools.host.apt import has_apt, install_wanted
from tools.host.fetching import Progress, list_hosts, run
from tools.host.releases import choose_go, read_system

_PLACES = ["go", "/usr/local/go/bin/go"]
_INSTALLED = Path("/usr/lib")
"""Debian installs several versions side by side, of which one is on the path."""
_OLDEST = (1, 21)  # the first that fetches the newer one it needs by itself, as a Go module
_CHECKOUT = Path(__file__).resolve().parents[2]


class NoGoError(Exception):
    """There is no Go that is new enough, and this user cannot install one; the message says what there is."""


@dataclass(frozen=True)
class Go:
    """A `go` and the variables that it runs with."""

    program: str
    environment: dict[str, str]

    def list_proxies(self) -> list[str]:
        """Return the hosts that this machine's Go asks for modules."""
        shown = run([self.program, "env", "GOPROXY"], self.environment, Path("/")).stdout.strip()
        return list_hosts(re.split(r"[,|]", shown))


def get_go(progress: Progress) -> Go:
    """Return the newest Go of this host; root gets one installed where there is none. Raises NoGoError, SetupError."""
    try:
        return find_go()
    except NoGoError:
        if os.geteuid() != 0 or not has_apt():
            raise
    install_wanted(choose_go(read_system()), progress)
    return find_go()


def install_command() -> str:
    """Return what a user who is not root runs once."""
    return ("" if Path.cwd() == _CHECKOUT else f"cd {_CHECKOUT} && ") + "sudo python3 -m tools.host go"


def find_go() -> Go:
    """Return the newest Go of this host. Raises NoGoError."""
    places = [*_PLACES, *map(str, _INSTALLED.glob("go-*/bin/go"))]
    found = {path: _read_version(path) for place in places if (path := shutil.which(place))}
    program = max(found, key=lambda path: found[path], default=None)
    if program is None or found[program] < _OLDEST:
        raise NoGoError(f"only Go {'.'.join(map(str, found[program]))}" if program else "no Go")
    # An older Go fetches the one that go.mod names through the module proxy; some machines switch that off.
    # The compiler's own garbage costs more time than memory: at most 1.5 GB for each of the largest packages.
    return Go(program, {"GOGC": "400", **os.environ, "GOTOOLCHAIN": "auto"})


def _read_version(program: str) -> tuple[int, ...]:
    # GOTOOLCHAIN=local: asked for itself, not for what a go.mod of the working directory would make it fetch.
    shown = run([program, "env", "GOVERSION"], {**os.environ, "GOTOOLCHAIN": "local"}, Path("/")).stdout
    match = re.match(r"go(\d+)\.(\d+)", shown)
    return tuple(map(int, match.groups())) if match else (0,)
