"""Pulumi's Python language host, ours: runs `__main__.py` of a project, and policy packs, for the engine.

The official one comes only with the official installer. What the engine needs of one: facts/engine.md.
"""

import os
import runpy
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import grpc

_MESSAGE_SIZE = 400 * 2**20  # bytes, as the engine's own
_WATCH_EVERY = 0.5  # seconds
_EMPTY = frozenset({"Handshake", "About", "GetPluginInfo", "GetRequiredPackages", "GetRequiredPlugins", "Cancel"})
"""Calls answered with nothing. At `Cancel` the program ends by itself: its next request of the interrupted engine fails."""


class _Calls(grpc.GenericRpcHandler):
    """The engine's calls. It starts hosts that it never has run anything, and Pulumi's SDK takes half a second to import: that is
    done at the first call that needs it."""

    def __init__(self) -> None:
        self._others: list[grpc.GenericRpcHandler] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        if handler_call_details.method.rpartition("/")[2] in _EMPTY:
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
        if not self._others:
            _add_others(self)
        return next((found for one in self._others if (found := one.service(handler_call_details))), None)

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Take what the SDK would add to a server."""
        self._others.extend(handlers)


def _add_others(calls: _Calls) -> None:
    from pulumi.automation._server import LanguageServer
    from pulumi.runtime.proto import language_pb2_grpc

    class Host(LanguageServer):
        def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
            folder = request.info.program_directory or request.pwd
            os.chdir(folder)
            sys.path.insert(0, folder)
            return super().Run(request, context)  # type: ignore[no-untyped-call]

        def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            yield from _run_plugin(request, context)

    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(Host(_run_program), calls)  # type: ignore[arg-type]  # it has of a server what is asked for


def _run_plugin(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
    """Run a policy pack in its own environment until the engine needs it no more; what it prints goes there."""
    from pulumi.runtime.proto import language_pb2

    if request.kind != "analyzer":
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"only policy packs are run as plugins, not {request.kind}")
    folder = Path(request.info.program_directory)
    venv = dict(request.info.options).get("virtualenv")
    python = folder / venv / "bin/python" if venv else Path(sys.executable)
    if not python.exists():
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{folder}/PulumiPolicy.yaml names {python}: missing")
    engine, *options = request.args
    process = subprocess.Popen(
        [python, "-u", "-m", "pulumi.policy", engine, folder, *options],
        cwd=request.pwd,
        env=dict(one.split("=", 1) for one in request.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _plugins.append(process)
    context.add_callback(process.kill)
    with process, selectors.DefaultSelector() as streams:
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            streams.register(stream, selectors.EVENT_READ, name)  # type: ignore[arg-type]
        while streams.get_map():
            for key, _ in streams.select():
                if text := os.read(key.fd, 65536):
                    yield language_pb2.RunPluginResponse(**{key.data: text})  # type: ignore[arg-type]
                else:
                    streams.unregister(key.fileobj)
        yield language_pb2.RunPluginResponse(exitcode=process.wait())


_plugins: list[subprocess.Popen[bytes]] = []


def _run_program() -> None:
    runpy.run_path("__main__.py", run_name="__main__")


def _end() -> None:
    for plugin in _plugins:
        plugin.kill()
    # At once and silently: a traceback would land among the user's diagnostics.
    os._exit(0)


def _stop(number: int, frame: FrameType | None) -> None:
    _end()


def main() -> None:
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    options = [("grpc.max_receive_message_length", _MESSAGE_SIZE), ("grpc.max_send_message_length", _MESSAGE_SIZE)]
    server = grpc.server(ThreadPoolExecutor(4), options=options)
    server.add_generic_rpc_handlers((_Calls(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    engine = os.getppid()
    print(port, flush=True)
    while server.wait_for_termination(_WATCH_EVERY):
        if os.getppid() != engine:
            # It was killed, and so told nobody to end.
            _end()


if __name__ == "__main__":
    main()
