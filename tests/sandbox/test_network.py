"""Workers of one run, and runs on one machine, do not meet on the loopback."""

import os
import socket

import pytest

from tests.sandbox.network import network_of
from tests.sandbox.telephony import LOOPBACK

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(os.geteuid() != 0, reason="only root makes networks")]


def test_nobody_else_is_in_the_network_of_these_tests() -> None:
    assert network_of("thread-self") != network_of(str(os.getppid()))
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
    with socket.create_server((LOOPBACK, 8500)), socket.create_connection((LOOPBACK, 8500), 1):
        """Its loopback is up."""
