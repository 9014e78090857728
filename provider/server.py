"""The one gRPC base of resource providers: ours, started by the engine, and simulated clouds, which it attaches to.

What was seen of the engine's side: facts/engine.md.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc

from components.model.redact import SecretFilter
from provider.handler import (
    Cancelled,
    Changes,
    Failure,
    Handler,
    PartialFailure,
    ProviderError,
    Request,
    Severity,
    changed_inputs,
)
from provider.process import run_until_engine_gone
from provider.servicer import Servicer
from provider.values import UNKNOWN, Properties, Secret, secret

__all__ = [
    "UNKNOWN",
    "Cancelled",
    "Changes",
    "Failure",
    "Handler",
    "PartialFailure",
    "Properties",
    "Provider",
    "ProviderError",
    "Request",
    "Secret",
    "changed_inputs",
    "secret",
]

_MESSAGE_SIZE = 400 * 2**20  # bytes, as the engine's own
_THREADS = 1024  # made on demand; calls beyond `workers` wait in theirs, so that Cancel is always served
_LOG_TIMEOUT = 5.0  # seconds


class Provider:
    """A provider of resource types, each served by its handler.

    `configure` gets the provider's configuration; `invoke` (request, function token, arguments) answers function calls.
    Both may raise ProviderError. At most `workers` handlers create, read, update or delete at the same time.
    `redact` is the filter for every text that leaves; it learns each secret that passes.
    """

    def __init__(
        self,
        name: str,
        version: str,
        handlers: Sequence[Handler],
        *,
        configure: Callable[[Properties], None] | None = None,
        invoke: Callable[[Request, str, Properties], Properties] | None = None,
        workers: int = 16,
        redact: SecretFilter | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.handlers = {handler.type: handler for handler in handlers}
        self.configure = configure
        self.invoke = invoke
        self.redact = redact or SecretFilter()
        self.slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._running: set[Request] = set()
        self._cancelled = False
        self._engine: engine_pb2_grpc.EngineStub | None = None
        self._server: grpc.Server | None = None

    def start(self) -> int:
        """Serves on a free port of the loopback and returns it."""
        options = [("grpc.max_receive_message_length", _MESSAGE_SIZE), ("grpc.max_send_message_length", _MESSAGE_SIZE)]
        self._server = grpc.server(ThreadPoolExecutor(_THREADS, thread_name_prefix=self.name), options=options)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(self), self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return port

    def stop(self, grace: float = 1.0) -> None:
        """Cancels what runs, waits at most `grace` seconds for it and stops serving."""
        self.cancel()
        if self._server:
            self._server.stop(grace).wait()

    def serve(self, engine_address: str | None) -> None:
        """Runs as a child process of the engine until that is gone or says stop; ends the process."""
        if engine_address:
            self.attach(engine_address)
        run_until_engine_gone(self.start, self.stop, engine_address)

    def attach(self, engine_address: str) -> None:
        """Sends the log to the engine at the address from now on; an earlier `cancel` was another run's."""
        stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine_address))
        with self._lock:
            self._engine = stub
            self._cancelled = False

    def cancel(self) -> None:
        """Cancels what runs, and what still comes of the same run."""
        with self._lock:
            self._cancelled = True
            for request in self._running:
                request.cancelled.set()

    def begin(self, request: Request) -> None:
        """Makes the request one that `cancel` reaches."""
        with self._lock:
            self._running.add(request)
            if self._cancelled:
                request.cancelled.set()

    def end(self, request: Request) -> None:
        """Forgets a request that was begun."""
        with self._lock:
            self._running.discard(request)

    def is_busy(self) -> bool:
        """Whether a call is under way."""
        with self._lock:
            return bool(self._running)

    def log(self, severity: Severity, text: str, urn: str, ephemeral: bool) -> None:
        """Sends a text to the engine's display, filtered."""
        if self._engine is None:
            return
        level = {"info": engine_pb2.INFO, "warning": engine_pb2.WARNING}[severity]
        line = engine_pb2.LogRequest(severity=level, message=self.redact(text), urn=urn, ephemeral=ephemeral)
        try:
            self._engine.Log(line, timeout=_LOG_TIMEOUT)
        except grpc.RpcError:
            return  # the engine is gone or going: nobody is left to read it, and its end cancels the request anyway
