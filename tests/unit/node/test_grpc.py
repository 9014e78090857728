"""The call that the health check makes, on a real gRPC server."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from cloud_init.node.ask import sip
from cloud_init.node.ask.grpc import call, read_text, text_field
from cloud_init.node.system import Unhealthy
from sandbox.standin import freeswitch_calls

TIMEOUT = 2.0
Place = dict[str, Any]


@contextmanager
def serving(answer: Any) -> Iterator[Place]:
    """A server whose fs.Api/Execute is `answer`."""
    server = grpc.server(ThreadPoolExecutor(2))
    handler: Any = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("fs.Api", {"Execute": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield {"address": "127.0.0.1", "port": port}
    finally:
        server.stop(None)


@contextmanager
def silent(says: bytes) -> Iterator[Place]:
    """A port that accepts connections, says something once and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held: list[socket.socket] = []

        def accept() -> None:
            held.append(listening.accept()[0])
            held[0].sendall(says)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield {"address": "127.0.0.1", "port": listening.getsockname()[1]}
        thread.join(5)
        for connection in held:
            connection.close()


def test_what_a_server_answers_is_read() -> None:
    asked: list[bytes] = []

    def answer(request: bytes, context: Any) -> bytes:
        asked.append(request)
        return text_field(1, "FreeSWITCH Version 1.10.12")

    with serving(answer) as place:
        sip.call_freeswitch(place["address"], place["port"])
        freeswitch_calls.call(place["address"], place["port"])
        long = "x" * 100
        assert read_text(call(place["address"], place["port"], "/fs.Api/Execute", text_field(1, long), TIMEOUT), 1)
    assert asked == [b"\x0a\x07version", b"\x0a\x07version", b"\x0a\x64" + long.encode()]


def test_an_answer_of_many_frames_is_one_message() -> None:
    with serving(lambda request, context: b"\x0a\xc0\xb8\x02" + b"y" * 40000) as place:
        assert read_text(call(place["address"], place["port"], "/fs.Api/Execute", b"", TIMEOUT), 1) == "y" * 40000


def test_a_server_that_refuses_says_why() -> None:
    with serving(lambda request, context: context.abort(grpc.StatusCode.UNAVAILABLE, "no")) as place:
        with pytest.raises(ValueError, match=r"refused the call: gRPC status 14"):
            call(place["address"], place["port"], "/fs.Api/Execute", b"", TIMEOUT)
        with pytest.raises(ValueError, match=r"refused the call: gRPC status 12"):
            call(place["address"], place["port"], "/fs.Api/Other", b"", TIMEOUT)
    with serving(lambda request, context: b"") as place, pytest.raises(Unhealthy, match="an empty message"):
        sip.call_freeswitch(place["address"], place["port"])


def test_an_open_port_is_no_answer() -> None:
    for says in (b"", b"\0\0\0\4\0\0\0\0\0"):
        with silent(says) as place, pytest.raises(TimeoutError, match=r"answered no call within 0\.3 s"):
            call(place["address"], place["port"], "/fs.Api/Execute", b"", 0.3)
    with silent(b"HTTP/1.1 400 Bad Request\r\n\r\n") as place, pytest.raises((ValueError, OSError)):
        call(place["address"], place["port"], "/fs.Api/Execute", b"", 0.3)
