"""The question by gRPC, asked of a real gRPC server (what mod_grpc is built on), and of ports that are none."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from cloud_init.node import rpc
from cloud_init.node.view import View

Answer = Callable[[bytes, grpc.ServicerContext], bytes]


@pytest.fixture
def server() -> Iterator[dict[str, object]]:
    """A gRPC server whose `fs.Api/Execute` does what `answer` says; `port` is where it is."""
    made: dict[str, object] = {}

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
            """Execute and nothing else."""
            def run(request: bytes, context: grpc.ServicerContext) -> bytes:
                made["asked"] = request
                answer = made["answer"]
                assert callable(answer)
                said: bytes = answer(context)
                return said

            return grpc.unary_unary_rpc_method_handler(run) if details.method == "/fs.Api/Execute" else None

    with ThreadPoolExecutor(2) as pool:
        running = grpc.server(pool)
        running.add_generic_rpc_handlers((Handler(),))
        made["port"] = running.add_insecure_port("127.0.0.1:0")
        running.start()
        try:
            yield made
        finally:
            running.stop(0)


def ask(port: object) -> str:
    """The probe."""
    return rpc.freeswitch_rpc({"address": "127.0.0.1", "port": port}, View({"address": "127.0.0.1"}))


def test_a_version_is_the_right_answer(server: dict[str, object]) -> None:
    server["answer"] = lambda context: b"\x0a\x12FreeSWITCH Version"
    assert ask(server["port"]) == "" and server["asked"] == b"\x0a\x07version"


def test_another_answer_or_a_refusal_is_none(server: dict[str, object]) -> None:
    server["answer"] = lambda context: b"\x0a\x04else"
    assert "else" in ask(server["port"])
    server["answer"] = lambda context: context.abort(grpc.StatusCode.INTERNAL, "no")
    assert ask(server["port"]) == "it refuses the call"


def test_one_that_hangs_is_named(server: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "TIMEOUT", 0.3)
    released = threading.Event()
    server["answer"] = lambda context: bytes(released.wait(5))
    try:
        assert ask(server["port"]) == "it accepts calls and answers none within 0.3 s"
    finally:
        released.set()


def test_a_port_that_hangs_up_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def hang_up() -> None:
            listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(OSError, match=r"closed|reset|pipe"):
            ask(listener.getsockname()[1])
