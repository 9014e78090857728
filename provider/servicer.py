"""The engine's calls, one method each, mapped to the handlers of a provider."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as pb

from components.model.redact import SecretFilter
from provider.answers import AnswerStatus, answer_diff, describe_fault
from provider.calls import Calls
from provider.handler import Cancelled, Changes, Handler, PartialFailure, ProviderError, Request, changed_inputs
from provider.ignored import keep_ignored
from provider.values import Marks, Properties, decode, encode, find_secrets

T = TypeVar("T")


class _Call:
    """One call of the engine: turns properties into plain values and back, remembering what is secret."""

    def __init__(self, request: Request, redact: SecretFilter) -> None:
        self.request = request
        self._redact = redact
        self._marks = Marks()

    def read(self, properties: struct_pb2.Struct, *, mark: bool = True) -> Properties:
        """Return plain values; with `mark`, what was secret in them is secret in what is written later."""
        marks = self._marks if mark else Marks()
        plain = decode(properties, marks)
        self._redact.add(marks.values)
        return plain

    def write(self, properties: Properties) -> struct_pb2.Struct:
        self._redact.add(find_secrets(properties))
        return encode(properties, self._marks)


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one provider."""

    def __init__(self, provider: Calls) -> None:
        self._provider = provider
        self._settings: dict[str, Properties] = {}
        """By connection: the engine has one for each provider that a program makes."""

    # About the provider itself

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._provider.attach(request.engine_address)
        return pb.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._provider.attach(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=self._provider.version)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        resources: dict[str, object] = {type: {} for type in sorted(self._provider.handlers)}
        schema = {"name": self._provider.name, "version": self._provider.version, "resources": resources}
        return pb.GetSchemaResponse(schema=json.dumps(schema))

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        def work(call: _Call) -> Any:
            old, new = call.read(request.old_inputs), call.read(request.news)
            return answer_diff(Changes(changed_inputs(old, new)), old, new)

        return self._run(context, Request(request.urn), work)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        def work(call: _Call) -> Any:
            settings = self._settings[context.peer()] = call.read(request.args)
            if self._provider.configure:
                self._provider.configure(settings)
            return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=True)

        return self._run(context, Request(request.urn), work)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._provider.cancel()
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        def work(call: _Call) -> Any:
            if self._provider.invoke is None:
                raise ProviderError(f"provider {self._provider.name} has no function {request.tok}")
            answer = self._provider.invoke(call.request, request.tok, call.read(request.args))
            response = pb.InvokeResponse()
            getattr(response, "return").CopyFrom(call.write(answer))  # a keyword of Python
            return response

        asked = Request("", preview=request.preview, log=self._provider.log, settings=self._settings.get(context.peer()))
        return self._run(context, asked, work, slow=True)

    # About resources

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        def work(call: _Call, handler: Handler) -> Any:
            # What used to be secret need not stay so: the old inputs leave no mark.
            old = call.read(request.olds, mark=False) if request.HasField("olds") else None
            inputs, failures = handler.check(call.request, old, call.read(request.news))
            shown = [pb.CheckFailure(property=f.property, reason=self._provider.redact(f.reason)) for f in failures]
            return pb.CheckResponse(inputs=call.write(inputs), failures=shown)

        return self._handle(request, context, work)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        def work(call: _Call, handler: Handler) -> Any:
            old, outputs, new = call.read(request.old_inputs), call.read(request.olds), call.read(request.news)
            new = keep_ignored(old, new, request.ignoreChanges)
            return answer_diff(handler.diff(call.request, request.id, old, outputs, new), old, new)

        return self._handle(request, context, work)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        def work(call: _Call, handler: Handler) -> Any:
            inputs = call.read(request.properties)
            if request.preview:
                return pb.CreateResponse(properties=call.write(handler.preview_create(call.request, inputs)))
            id, outputs = handler.create(call.request, inputs)
            return pb.CreateResponse(id=id, properties=call.write(outputs))

        return self._handle(request, context, work, slow=not request.preview)

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        def work(call: _Call, handler: Handler) -> Any:
            inputs, outputs = call.read(request.inputs), call.read(request.properties)
            # Nothing known of it but the id: it is an import.
            id = request.id if outputs else handler.find_imported(request.id)
            found = handler.read(call.request, id, inputs, outputs)
            if found is None:
                return pb.ReadResponse()  # an empty id says: gone
            return pb.ReadResponse(id=id, inputs=call.write(found[0]), properties=call.write(found[1]))

        return self._handle(request, context, work, slow=True)

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        def work(call: _Call, handler: Handler) -> Any:
            old, outputs, new = call.read(request.old_inputs), call.read(request.olds), call.read(request.news)
            update = handler.preview_update if request.preview else handler.update
            return pb.UpdateResponse(properties=call.write(update(call.request, request.id, old, outputs, new)))

        return self._handle(request, context, work, slow=not request.preview)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        def work(call: _Call, handler: Handler) -> Any:
            inputs, outputs = call.read(request.old_inputs), call.read(request.properties)
            handler.delete(call.request, request.id, inputs, outputs)
            return empty_pb2.Empty()

        return self._handle(request, context, work, slow=True)

    def _handle(
        self, message: Any, context: grpc.ServicerContext, work: Callable[[_Call, Handler], T], *, slow: bool = False
    ) -> T:
        preview, timeout = getattr(message, "preview", False), getattr(message, "timeout", 0)
        settings = self._settings.get(context.peer())
        request = Request(message.urn, preview=preview, timeout=timeout or None, log=self._provider.log, settings=settings)

        def work_with_handler(call: _Call) -> T:
            handler = self._provider.handlers.get(request.type)
            if handler is None:
                known = ", ".join(sorted(self._provider.handlers)) or "none"
                raise ProviderError(f"provider {self._provider.name} has no resource type {request.type}, only: {known}")
            return work(call, handler)

        return self._run(context, request, work_with_handler, slow=slow)

    def _run(self, context: grpc.ServicerContext, request: Request, work: Callable[[_Call], T], *, slow: bool = False) -> T:
        """Do the work or abort the call; slow work waits for its turn and may be cancelled while it waits."""
        call = _Call(request, self._provider.redact)
        self._provider.begin(request)
        # The connection breaks when the engine's process ends: whoever waits for `cancelled` learns of it at once.
        if not context.add_callback(request.cancelled.set):
            request.cancelled.set()
        details: list[Any] = []
        try:
            try:
                with self._provider.slots if slow else nullcontext():
                    if slow and request.cancelled.is_set():
                        raise Cancelled
                    return work(call)
            except PartialFailure as error:
                code, message = grpc.StatusCode.UNKNOWN, str(error)
                reasons = [self._provider.redact(message)]
                packed = any_pb2.Any()
                packed.Pack(pb.ErrorResourceInitFailed(id=error.id, properties=call.write(error.outputs), reasons=reasons))
                details = [packed]
        except ProviderError as error:
            code, message = grpc.StatusCode.FAILED_PRECONDITION, str(error)
        except Exception as error:  # whatever it is, the user has to see it, filtered
            code, message = grpc.StatusCode.INTERNAL, describe_fault(error)
        finally:
            self._provider.end(request)
        context.abort_with_status(AnswerStatus(code, self._provider.redact(message), details))
        raise AssertionError("abort_with_status always raises")
