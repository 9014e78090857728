"""A machine as a cloud has it: nothing but Debian in its image, the packages from the network."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment
from tests.long_form import only_long

pytestmark = [
    pytest.mark.local,
    only_long("five minutes, and packages come from the network where an image of them is made, and on given hosts"),
]


@pytest.fixture
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment on the base image."""
    deployment = Deployment(tmp_path_factory.mktemp("bare"), f"t{os.getpid()}-bare", {"image": "base"})
    deployment.make_checkout()
    try:
        yield deployment
    finally:
        deployment.end()


@contextmanager
def cut_off(bare: Deployment) -> Iterator[None]:
    """No way out of the deployment's network but name resolution: every connection is refused at once."""
    table = f"webitel_bare_{os.getpid()}"
    rules = (
        f"table ip {table} {{\nchain forward {{\ntype filter hook forward priority -1\n"
        f"ip saddr {bare.network} meta l4proto tcp reject with tcp reset\n}}\n}}\n"
    )
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "ip", table], check=True)


def test_packages_come_from_the_network(bare: Deployment, figure: Figure) -> None:
    with cut_off(bare):
        failed = bare.up(status=1, seconds=300)
    figure("up without a package source until it fails", failed.seconds)
    assert f"{bare.node}: webitel-install.service: packages could not be installed" in failed.said
    assert "E: " in failed.said  # apt's own words
    done = bare.up()
    figure("up on the base image, packages from the network", done.seconds)
    assert "services healthy" in done.said
    assert bare.status()["healthy"]
    installed = bare.on_node("dpkg-query -W -f '${db:Status-Status} ${Package}\\n' patroni rabbitmq-server consul nginx")
    assert {line.split()[0] for line in installed.splitlines()} == {"installed"}
    assert bare.on_node("apt-mark showhold").split()
