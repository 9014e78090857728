"""The machine on which images are made: one at a time, gone afterwards, whatever happens."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Interface

from tools.host.fetching import Progress, SetupError
from tools.host.pace import Pace
from tools.incus import api, execute
from tools.incus.forwarding import find_forwarding_problem
from tools.incus.network import (
    describe_bridge,
    describe_interface,
    find_free_network,
    find_gateway,
    read_resolvers,
    read_routes,
)
from tools.incus.rootfs import RECIPE

NAME = "webitel-build"
"""Name of the container and of its bridge."""

_INSTALL_UNIT = "webitel-install.service"
_INSTALL_PROGRESS = "/run/webitel/install.json"
_INSTALL_SECONDS = 1800
_INSTALL_RETRIES = 2  # a mirror may stumble
_SHOWN_LINES = 15


@contextmanager
def start_builder(image: str, user_data: str | None, progress: Progress) -> Iterator[None]:
    """Run a container from that image with that user data; the caller holds the lock of images.

    Without user data nothing boots: the machine has its network and waits for commands, as a chroot would.

    What an interrupted build left is removed first.
    """
    remove_builder()
    network = find_free_network(read_routes(), prefix=28)
    gateway = find_gateway(network)
    address = str(network[2])
    if user_data is None:
        boot = {"raw.lxc": "lxc.init.cmd = /bin/sleep infinity"}
    else:
        interface = json.dumps(describe_interface(address, gateway))
        boot = {"cloud-init.user-data": user_data, "cloud-init.network-config": interface}
    try:
        progress(f"starting a machine from {image}")
        api.call("POST", "/networks", {"name": NAME, "type": "bridge", "config": describe_bridge(gateway)})
        problem = find_forwarding_problem(NAME)
        if problem:
            progress(problem)
        container = {
            "name": NAME,
            "type": "container",
            "source": {"type": "image", "alias": image},
            "profiles": [],
            "config": {"security.nesting": "true", **boot},
            "devices": {
                "root": {"type": "disk", "pool": api.POOL, "path": "/"},
                "eth0": {"type": "nic", "network": NAME, "name": "eth0"},
            },
        }
        api.call("POST", "/instances", container)
        api.change_state(NAME, "start")
        if user_data is None:
            _set_up_network(address, gateway)
        yield
    finally:
        remove_builder()


def _set_up_network(address: str, gateway: IPv4Interface) -> None:
    servers = "".join(f"nameserver {server}\n" for server in read_resolvers() or [str(gateway.ip)])
    script = (
        f"set -e\nip link set eth0 up\nip address replace {address}/{gateway.network.prefixlen} dev eth0\n"
        f"ip route replace default via {gateway.ip}\nrm -f /etc/resolv.conf\nprintf '{servers}' >/etc/resolv.conf\n"
    )
    run_script(script)


def remove_builder() -> None:
    """Remove the builder; one that is not there is no error."""
    api.delete_instance(NAME)
    api.remove(api.network_path(NAME))


def wait_for_install(progress: Progress) -> None:
    """Wait until cloud-init and, where the user data has one, the installation unit have done their work."""
    deadline = time.monotonic() + _INSTALL_SECONDS
    pace = Pace(progress)
    while True:
        cloud_init = run("cloud-init", "status").stdout.strip().removeprefix("status: ")
        if cloud_init == "error":
            raise SetupError(f"cloud-init failed on the machine for the packages' image:\n{_read_output()}")
        if cloud_init == "done" and _has_installed():
            return
        if not cloud_init and api.call("GET", api.instance_path(NAME))["status"] != "Running":
            raise SetupError(f"the machine for the packages' image stopped; see: incus info --show-log {NAME}")
        if time.monotonic() > deadline:
            raise SetupError(f"the packages' image is not ready after {_INSTALL_SECONDS} s:\n{_read_output()}")
        pace.say(*describe_progress(run("cat", _INSTALL_PROGRESS).stdout))
        time.sleep(1)


def describe_progress(shown: str) -> tuple[str, str]:
    """Step and count from what the installation says of itself, which is nothing at first."""
    if not shown:
        return "booting", ""
    state = json.loads(shown)
    step = "installing packages" if state["step"] == "packages" else str(state["step"])
    # Its total knows nothing of what the packages depend on.
    return step, f"{state['done']} done" if state["done"] else ""


def _has_installed() -> bool:
    properties = "LoadState,ActiveState,SubState,Result,NRestarts,ExecMainExitTimestampMonotonic"
    return has_installed(run("systemctl", "show", "-p", properties, _INSTALL_UNIT).stdout)


def has_installed(shown: str) -> bool:
    """Tells from what `systemctl show` says whether the installation is done, or whether there is none.

    Raises SetupError when it failed and is not tried again, or was tried in vain too often.
    """
    state = dict(line.split("=", 1) for line in shown.splitlines())
    if state["LoadState"] == "not-found":
        return True
    if state["ActiveState"] == "failed" or int(state["NRestarts"]) > _INSTALL_RETRIES:
        raise SetupError(f"{_INSTALL_UNIT} failed ({state['Result']}):\n{_read_output()}")
    if state["ActiveState"] == "inactive":  # not started yet, or over
        return state["ExecMainExitTimestampMonotonic"] != "0"
    return state["SubState"] == "exited"


def _read_output() -> str:
    journal = run("journalctl", "-u", _INSTALL_UNIT, "-n", str(_SHOWN_LINES), "-o", "cat", "--no-pager").stdout
    output = run("tail", "-n", str(_SHOWN_LINES), "/var/log/cloud-init-output.log").stdout
    return "\n".join(f"  {line}" for line in [*output.splitlines(), *journal.splitlines()])


def run_script(text: str) -> None:
    """Run a shell script in the builder as root; the error shows the end of its output."""
    done = run("sh", "-s", stdin=text)
    if done.returncode:
        last = "\n  ".join((done.stdout + done.stderr).splitlines()[-_SHOWN_LINES:])
        raise SetupError(f"a step failed on {NAME} with exit status {done.returncode}:\n  {last}")


def run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in the builder."""
    return execute.run(NAME, command, stdin)


def publish(alias: str, description: str, progress: Progress) -> None:
    """Make the builder, cleaned and stopped, the image of that alias.

    Uncompressed: gzip takes 40 s more and saves nothing but space (facts/ha-measured.md 1).
    """
    progress("keeping the machine as an image")
    run_script((RECIPE / "clean.sh").read_text())
    api.change_state(NAME, "stop", force=True)
    image = {
        "source": {"type": "instance", "name": NAME},
        "compression_algorithm": "none",
        "properties": {"description": description, "os": "debian", "release": "bookworm"},
        "aliases": [{"name": alias}],
    }
    api.call("POST", "/images", image)
