"""Pulumi's Python language host, ours: runs `__main__.py` of a project for the engine.

The official one comes only with the official installer. What the engine needs of one: facts/engine.md.
"""

import os
import runpy
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

_MESSAGE_SIZE = 400 * 2**20  # bytes, as the engine's own
_WATCH_EVERY = 0.5  # seconds


class _Host(LanguageServer):
    def __init__(self) -> None:
        super().__init__(_run_program)

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.LanguageHandshakeResponse()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        # The program ends by itself: its next request of the interrupted engine fails.
        return empty_pb2.Empty()

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        folder = request.info.program_directory or request.pwd
        os.chdir(folder)
        sys.path.insert(0, folder)
        return super().Run(request, context)  # type: ignore[no-untyped-call]


def _run_program() -> None:
    runpy.run_path("__main__.py", run_name="__main__")


def _stop(number: int, frame: FrameType | None) -> None:
    # At once and silently: a traceback would land among the user's diagnostics.
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    options = [("grpc.max_receive_message_length", _MESSAGE_SIZE), ("grpc.max_send_message_length", _MESSAGE_SIZE)]
    server = grpc.server(ThreadPoolExecutor(4), options=options)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(_Host(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    engine = os.getppid()
    print(port, flush=True)
    while server.wait_for_termination(_WATCH_EVERY):
        if os.getppid() != engine:
            # It was killed, and so told nobody to end.
            os._exit(0)


if __name__ == "__main__":
    main()
