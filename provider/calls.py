"""A provider's handlers and the calls that are under way, without the server that receives them."""

import threading
from collections.abc import Callable, Sequence

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from components.model.redact import SecretFilter
from provider.handler import Handler, Request, Severity
from provider.values import Properties

_LOG_SECONDS = 5.0


class Calls:
    """Resource types, each with its handler, and the calls of them that are under way.

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

    def attach(self, engine_address: str) -> None:
        """Send the log to the engine at the address from now on; an earlier `cancel` was another run's."""
        stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine_address))
        with self._lock:
            self._engine = stub
            self._cancelled = False

    def cancel(self) -> None:
        """Cancel the calls under way, and those that the same run still makes."""
        with self._lock:
            self._cancelled = True
            for request in self._running:
                request.cancelled.set()

    def begin(self, request: Request) -> None:
        """Register a request, so that `cancel` reaches it."""
        with self._lock:
            self._running.add(request)
            if self._cancelled:
                request.cancelled.set()

    def end(self, request: Request) -> None:
        """Forget a request that was begun."""
        with self._lock:
            self._running.discard(request)

    def is_busy(self) -> bool:
        """Whether a call is under way."""
        with self._lock:
            return bool(self._running)

    def log(self, severity: Severity, text: str, urn: str, ephemeral: bool) -> None:
        """Send a text to the engine's display, filtered."""
        if self._engine is None:
            return
        level = {"info": engine_pb2.INFO, "warning": engine_pb2.WARNING}[severity]
        line = engine_pb2.LogRequest(severity=level, message=self.redact(text), urn=urn, ephemeral=ephemeral)
        try:
            self._engine.Log(line, timeout=_LOG_SECONDS)
        except grpc.RpcError:
            return  # the engine is gone or going: nobody is left to read it, and its end cancels the request anyway
