"""The common gRPC base of resource providers: ours, started by the engine, and simulated clouds, which it attaches to.

What was seen of the engine's side: facts/engine.md.
"""

from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from provider.calls import Calls
from provider.handler import (
    Cancelled,
    Changes,
    Failure,
    Handler,
    PartialFailure,
    ProviderError,
    Request,
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

_MESSAGE_BYTES = 400 * 2**20  # as the engine's own
_THREADS = 1024  # created on demand; calls beyond `workers` wait in theirs, so that Cancel is always served


class Provider(Calls):
    """A provider of resource types with the server that the engine calls (see Calls for what it is given)."""

    _server: grpc.Server | None = None

    def start(self) -> int:
        """Serve on a free port of the loopback and return it."""
        options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
        self._server = grpc.server(ThreadPoolExecutor(_THREADS, thread_name_prefix=self.name), options=options)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(self), self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return port

    def stop(self, grace: float = 1.0) -> None:
        """Cancel the calls under way, wait at most `grace` seconds for them and stop serving."""
        self.cancel()
        if self._server:
            self._server.stop(grace).wait()

    def serve(self, engine_address: str | None) -> None:
        """Run as a child process of the engine until that is gone or says stop; end the process."""
        if engine_address:
            self.attach(engine_address)
        run_until_engine_gone(self.start, self.stop, engine_address)
