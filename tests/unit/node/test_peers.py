"""Candidates for a lock ask one another."""

import socket
import struct
import threading

import pytest

from cloud_init.node.clusters import peers


class Slow:
    """A lease that says that it stands by only once whoever asked is gone."""

    def __init__(self) -> None:
        self.asked, self.gone = threading.Event(), threading.Event()

    def stands_by(self) -> bool:
        self.asked.set()
        assert self.gone.wait(20)
        return True


def test_who_no_longer_waits_for_the_answer_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    lease = Slow()
    server = peers.serve("127.0.0.1", 0, {"logger": lease})  # type: ignore[dict-item]
    server.daemon_threads, server.block_on_close = False, True
    port = server.server_address[1]
    with socket.create_connection(("127.0.0.1", port)) as asking:
        asking.sendall(b"GET /logger HTTP/1.0\r\n\r\n")
        assert lease.asked.wait(20)
        # No time to linger: the connection is reset, as if nobody had it any more.
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    lease.gone.set()
    server.shutdown()
    server.server_close()
    assert capfd.readouterr().err == ""
