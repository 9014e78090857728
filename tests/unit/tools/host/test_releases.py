"""What would be installed on which release, from samples of /etc/os-release."""

import pytest

from tools.host.fetching import SetupError
from tools.host.releases import Wanted, choose_go, choose_incus

DEBIAN_12 = {"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"}
DEBIAN_13 = {"ID": "debian", "VERSION_ID": "13", "PRETTY_NAME": "Debian GNU/Linux 13 (trixie)"}
TESTING = {"ID": "debian", "VERSION_CODENAME": "forky", "PRETTY_NAME": "Debian GNU/Linux forky/sid"}
UBUNTU_24 = {"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_ID": "24.04", "PRETTY_NAME": "Ubuntu 24.04.4 LTS"}
MINT = {"ID": "linuxmint", "ID_LIKE": "ubuntu debian", "VERSION_ID": "22.1", "PRETTY_NAME": "Linux Mint 22.1"}
TOOLS = ("dnsmasq-base", "btrfs-progs", "nftables")


@pytest.mark.parametrize(
    ("system", "wanted"),
    [
        (DEBIAN_12, Wanted(("golang-go",), "bookworm-backports", only_newer=True)),
        (DEBIAN_13, Wanted(("golang-go",))),
        (TESTING, Wanted(("golang-go",))),
        (UBUNTU_24, Wanted(("golang-go",))),
        (MINT, Wanted(("golang-go",))),
    ],
)
def test_go(system: dict[str, str], wanted: Wanted) -> None:
    assert choose_go(system) == wanted


@pytest.mark.parametrize(
    ("system", "wanted"),
    [
        (DEBIAN_12, Wanted(("incus-base", "incus-client", *TOOLS), "bookworm-backports")),
        (DEBIAN_13, Wanted(("incus-base", "incus-client", *TOOLS))),
        (TESTING, Wanted(("incus-base", "incus-client", *TOOLS))),
        (UBUNTU_24, Wanted(("incus", "incus-client", *TOOLS))),
    ],
)
def test_incus(system: dict[str, str], wanted: Wanted) -> None:
    assert choose_incus(system) == wanted


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ({"ID": "debian", "VERSION_ID": "11", "PRETTY_NAME": "Debian 11"}, "Debian 11"),
        ({"ID": "ubuntu", "VERSION_ID": "22.04", "PRETTY_NAME": "Ubuntu 22.04"}, "Ubuntu 22.04"),
        ({"ID": "arch", "PRETTY_NAME": "Arch Linux"}, "Arch Linux"),
        ({}, "this system"),
    ],
)
def test_where_incus_cannot_be_installed(system: dict[str, str], name: str) -> None:
    with pytest.raises(SetupError, match=f"cannot be installed on {name}"):
        choose_incus(system)
