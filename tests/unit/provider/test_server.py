"""The gRPC base, spoken to as the engine does, without one."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2_grpc, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from provider.server import (
    UNKNOWN,
    Changes,
    Failure,
    Handler,
    PartialFailure,
    Properties,
    Provider,
    ProviderError,
    Request,
    secret,
)
from provider.values import Marks, decode, encode
from tests.waiting import wait_until

URN = "urn:pulumi:dev::shop::webitel:Cloud$toy:index:Thing::db::1"
PASSWORD = "correct-horse"

Create = Callable[[Request, Properties], tuple[str, Properties]]


class Thing(Handler):
    type = "toy:index:Thing"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.requests: list[Request] = []
        self.on_create: Create = lambda request, inputs: ("thing-1", inputs)
        self.updates: list[tuple[Properties, Properties, Properties]] = []

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        failures = [Failure("size", f"{new['size']} is too small for {PASSWORD}")] if new.get("size") == 0 else []
        return {"size": 1, **new, "is_new": old is None}, failures

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        changes = super().diff(request, id, old, outputs, new)
        return changes._replace(replaces=[name for name in changes.changed if name == "image"], delete_before_replace=True)

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        self.calls.append("create")
        self.requests.append(request)
        return self.on_create(request, inputs)

    def preview_create(self, request: Request, inputs: Properties) -> Properties:
        return {"address": UNKNOWN, "size": inputs["size"]}

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        return None if id == "gone" else (inputs, outputs)

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        self.updates.append((old, outputs, new))
        return {**outputs, "size": new["size"]}

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        self.calls.append(f"delete {id}")


@pytest.fixture
def thing() -> Thing:
    return Thing()


@pytest.fixture
def provider(thing: Thing) -> Iterator[Provider]:
    made = Provider("toy", "1.2.3", [thing], workers=2)
    yield made
    made.stop(0)


@pytest.fixture
def engine(provider: Provider) -> Iterator[Any]:
    """What the engine has of a provider: a stub of its service."""
    # Python's gRPC refuses large trailers by default; the engine's Go one takes 16 MB.
    with grpc.insecure_channel(f"127.0.0.1:{provider.start()}", [("grpc.max_metadata_size", 2**20)]) as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)


def wire(**properties: Any) -> struct_pb2.Struct:
    return encode(properties, Marks())


def unwire(properties: struct_pb2.Struct) -> tuple[Properties, Marks]:
    marks = Marks()
    return decode(properties, marks), marks


def create(engine: Any, **inputs: Any) -> Any:
    return engine.Create(pb.CreateRequest(urn=URN, properties=wire(**inputs)))


def fail(call: Callable[[], Any]) -> Any:
    """Returns the error, which is a grpc.Call too (the stubs do not know)."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def test_values_arrive_plain_and_return_as_they_were(engine: Any, thing: Thing) -> None:
    seen: list[Properties] = []

    def note(request: Request, inputs: Properties) -> tuple[str, Properties]:
        seen.append(inputs)
        return "thing-1", inputs

    thing.on_create = note
    sent: Properties = {
        "count": 40,
        "load": 0.5,
        "on": True,
        "none": None,
        "list": [1, [], {"deep": "text"}],
        "empty": {},
        "text": "ü\n",
    }
    response = create(engine, **sent)
    assert seen == [sent]
    assert type(seen[0]["count"]) is int
    assert response.id == "thing-1"
    assert unwire(response.properties)[0] == sent


def test_request_knows_whom_it_is_about(engine: Any, thing: Thing) -> None:
    engine.Create(pb.CreateRequest(urn=URN, properties=wire(), timeout=12.5))
    request = thing.requests[0]
    assert (request.urn, request.name, request.type) == (URN, "db::1", "toy:index:Thing")
    assert (request.preview, request.timeout) == (False, 12.5)
    create(engine)
    assert thing.requests[1].timeout is None


def test_secret_input_stays_secret_where_it_was_and_where_it_is_copied_to(engine: Any, thing: Thing) -> None:
    thing.on_create = lambda request, inputs: (
        "x",
        {"auth": inputs["auth"], "pin": inputs["pin"], "copy": [PASSWORD], "no": "1234"},
    )
    made = create(engine, auth={"user": "u", "password": secret(PASSWORD)}, pin=secret(1234))
    plain, marks = unwire(made.properties)
    assert plain == {"auth": {"user": "u", "password": PASSWORD}, "pin": 1234, "copy": [PASSWORD], "no": "1234"}
    assert marks.paths == {("auth", "password"), ("pin",), ("copy", 0)}


def test_secret_output_stays_secret_when_an_update_returns_it_plain(engine: Any, thing: Thing) -> None:
    thing.on_create = lambda request, inputs: ("x", {"keys": {"a": secret({"k": ["v1"]})}})
    old = create(engine, size=1).properties
    request = pb.UpdateRequest(urn=URN, id="x", olds=old, old_inputs=wire(size=1), news=wire(size=2))
    plain, marks = unwire(engine.Update(request).properties)
    assert thing.updates == [({"size": 1}, {"keys": {"a": {"k": ["v1"]}}}, {"size": 2})]
    assert plain == {"keys": {"a": {"k": ["v1"]}}, "size": 2}
    assert marks.paths == {("keys", "a")}


def test_check_fills_in_keeps_secrets_and_names_what_is_wrong(engine: Any) -> None:
    good = engine.Check(pb.CheckRequest(urn=URN, news=wire(password=secret(PASSWORD), later=UNKNOWN)))
    plain, marks = unwire(good.inputs)
    assert plain == {"size": 1, "password": PASSWORD, "later": UNKNOWN, "is_new": True}
    assert marks.paths == {("password",)}
    bad = engine.Check(pb.CheckRequest(urn=URN, olds=wire(size=1), news=wire(size=0)))
    assert [(f.property, f.reason) for f in bad.failures] == [("size", "0 is too small for [secret]")]
    assert unwire(bad.inputs)[0]["is_new"] is False


def test_input_that_is_secret_no_more_loses_its_mark(engine: Any) -> None:
    old, new = wire(password=secret(PASSWORD)), wire(password=PASSWORD)
    checked = engine.Check(pb.CheckRequest(urn=URN, olds=old, news=new))
    assert unwire(checked.inputs)[1].paths == set()


@pytest.mark.parametrize(
    ("old", "new", "changed", "replaces"),
    [
        ({"size": 1, "text": "a"}, {"size": 1, "text": "a"}, [], []),
        ({"size": 1, "old": 1}, {"size": 2, "new": 1}, ["new", "old", "size"], []),
        ({"image": "a"}, {"image": "b"}, ["image"], ["image"]),
        ({"deep": {"a": [1]}}, {"deep": {"a": [UNKNOWN]}}, ["deep"], []),
        ({"password": secret(PASSWORD)}, {"password": PASSWORD}, [], []),
    ],
)
def test_diff(engine: Any, old: Properties, new: Properties, changed: list[str], replaces: list[str]) -> None:
    answer = engine.Diff(pb.DiffRequest(urn=URN, id="x", old_inputs=wire(**old), olds=wire(), news=wire(**new)))
    assert (list(answer.diffs), list(answer.replaces)) == (changed, replaces)
    assert answer.changes == (pb.DiffResponse.DIFF_SOME if changed else pb.DiffResponse.DIFF_NONE)
    assert answer.deleteBeforeReplace is True


def test_preview_makes_nothing(engine: Any, thing: Thing) -> None:
    made = engine.Create(pb.CreateRequest(urn=URN, properties=wire(size=3), preview=True))
    assert (made.id, unwire(made.properties)[0]) == ("", {"address": UNKNOWN, "size": 3})
    changed = engine.Update(pb.UpdateRequest(urn=URN, id="x", olds=wire(a=1), news=wire(size=3), preview=True))
    assert unwire(changed.properties)[0] == {}
    assert (thing.calls, thing.updates) == ([], [])


def test_read_and_delete(engine: Any, thing: Thing) -> None:
    there = engine.Read(pb.ReadRequest(urn=URN, id="x", inputs=wire(size=1), properties=wire(token=secret("t"))))
    assert (there.id, unwire(there.inputs)[0]) == ("x", {"size": 1})
    assert unwire(there.properties)[1].paths == {("token",)}
    assert engine.Read(pb.ReadRequest(urn=URN, id="gone")).id == ""
    engine.Delete(pb.DeleteRequest(urn=URN, id="x"))
    assert thing.calls == ["delete x"]


def test_provider_error_is_shown_whole_and_filtered(engine: Any, thing: Thing) -> None:
    def refuse(request: Request, inputs: Properties) -> tuple[str, Properties]:
        raise ProviderError(f"no room\n  password {inputs['password']}")

    thing.on_create = refuse
    error = fail(lambda: create(engine, password=secret(PASSWORD)))
    assert error.details() == "no room\n  password [secret]"


def test_unforeseen_exception_tells_type_and_place_and_is_filtered(engine: Any, thing: Thing) -> None:
    thing.on_create = lambda request, inputs: inputs[f"key {inputs['password']}"]
    details = fail(lambda: create(engine, password=secret(PASSWORD))).details()
    assert details.startswith("KeyError: 'key [secret]'\n")
    assert "tests/unit/provider/test_server.py:" in details


def test_output_that_cannot_travel_is_named(engine: Any, thing: Thing) -> None:
    thing.on_create = lambda request, inputs: ("x", {"a": [{"b": {1, 2}}]})
    assert "a.0.b: a set is not a property value" in fail(lambda: create(engine)).details()
    thing.on_create = lambda request, inputs: ("x", {"a": 2**60})
    assert "too large" in fail(lambda: create(engine)).details()


def test_unknown_type_is_named_with_those_there_are(engine: Any) -> None:
    details = fail(lambda: engine.Check(pb.CheckRequest(urn=URN.replace("Thing", "Think")))).details()
    assert details == "provider toy has no resource type toy:index:Think, only: toy:index:Thing"


def test_partial_failure_carries_the_resource(engine: Any, thing: Thing) -> None:
    def half(request: Request, inputs: Properties) -> tuple[str, Properties]:
        raise PartialFailure(f"unit failed: {PASSWORD}", "half-1", {"password": inputs["password"], "log": "x" * 50_000})

    thing.on_create = half
    error = fail(lambda: create(engine, password=secret(PASSWORD)))
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    detail = pb.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    plain, marks = unwire(detail.properties)
    assert (detail.id, list(detail.reasons)) == ("half-1", ["unit failed: [secret]"])
    assert (plain["password"], marks.paths) == (PASSWORD, {("password",)})


def test_cancel_ends_what_runs_what_waits_and_what_still_comes(engine: Any, thing: Thing) -> None:
    def wait(request: Request, inputs: Properties) -> tuple[str, Properties]:
        request.sleep(60)
        raise AssertionError("not cancelled")

    thing.on_create = wait
    # More than the provider's two workers: Cancel must not queue up behind them.
    calls = [engine.Create.future(pb.CreateRequest(urn=f"{URN}{i}", properties=wire())) for i in range(6)]
    wait_until(lambda: len(thing.requests) == 2, 20, "two calls")
    started = time.monotonic()
    engine.Cancel(empty_pb2.Empty())
    assert all("cancelled" in call.exception(5).details() for call in calls)
    assert time.monotonic() - started < 3
    assert "cancelled" in fail(lambda: create(engine)).details()
    assert len(thing.requests) == 2
    thing.on_create = lambda request, inputs: ("x", {})
    engine.Handshake(pb.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))  # the next run of an attached provider
    assert create(engine).id == "x"


def test_request_is_cancelled_when_its_engine_is_gone(engine: Any, thing: Thing) -> None:
    done = threading.Event()

    def wait(request: Request, inputs: Properties) -> tuple[str, Properties]:
        assert request.cancelled.wait(5)
        done.set()
        return "x", {}

    thing.on_create = wait
    call = engine.Create.future(pb.CreateRequest(urn=URN, properties=wire()))
    wait_until(lambda: thing.requests, 20, "the call")
    call.cancel()
    assert done.wait(5)


def test_as_many_at_once_as_there_are_workers(engine: Any, thing: Thing) -> None:
    together = threading.Barrier(2)
    inside, most, lock = [0], [0], threading.Lock()

    def meet(request: Request, inputs: Properties) -> tuple[str, Properties]:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        together.wait(5)
        with lock:
            inside[0] -= 1
        return request.name, {}

    thing.on_create = meet
    calls = [engine.Create.future(pb.CreateRequest(urn=f"{URN}{i}", properties=wire())) for i in range(8)]
    assert {call.result(10).id for call in calls} == {f"db::1{i}" for i in range(8)}
    assert most[0] == 2


def test_log_reaches_the_engine_filtered(engine: Any, thing: Thing) -> None:
    lines: list[Any] = []

    class Engine(engine_pb2_grpc.EngineServicer):
        def Log(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
            lines.append(request)
            return empty_pb2.Empty()

    server = grpc.server(ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(Engine(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def talk(request: Request, inputs: Properties) -> tuple[str, Properties]:
        request.progress(f"packages 1/2 {PASSWORD}")
        request.progress(f"packages 1/2 {PASSWORD}")
        request.progress("packages 2/2")
        request.info("done")
        request.warn("a stand-in")
        return "x", {}

    thing.on_create = talk
    engine.Handshake(pb.ProviderHandshakeRequest(engine_address=f"127.0.0.1:{port}"))
    create(engine, password=secret(PASSWORD))
    server.stop(0).wait()
    shown = [(line.message, line.ephemeral, line.severity, line.urn) for line in lines]
    assert shown == [
        ("packages 1/2 [secret]", True, 1, URN),
        ("packages 2/2", True, 1, URN),
        ("done", False, 1, URN),
        ("a stand-in", False, 2, URN),
    ]
    assert create(engine, password=secret(PASSWORD)).id == "x"  # with the engine gone, logging hinders nobody


def test_configure_and_invoke() -> None:
    seen: list[Properties] = []

    def configure(settings: Properties) -> None:
        if "token" not in settings:
            raise ProviderError("toy:token is missing")
        seen.append(settings)

    provider = Provider("toy", "1", [], configure=configure, invoke=lambda request, token, inputs: {token: inputs["of"]})
    with grpc.insecure_channel(f"127.0.0.1:{provider.start()}") as channel:
        engine: Any = provider_pb2_grpc.ResourceProviderStub(channel)
        assert fail(lambda: engine.Configure(pb.ConfigureRequest(args=wire()))).details() == "toy:token is missing"
        answer = engine.Configure(pb.ConfigureRequest(args=wire(token=secret(PASSWORD))))
        assert (answer.acceptSecrets, answer.supportsPreview, answer.acceptResources, answer.acceptOutputs) == (True,) * 4
        assert seen == [{"token": PASSWORD}]
        result = engine.Invoke(pb.InvokeRequest(tok="toy:index:get", args=wire(of=secret(PASSWORD))))
        plain, marks = unwire(getattr(result, "return"))
        assert (plain, marks.paths) == ({"toy:index:get": PASSWORD}, {("toy:index:get",)})
    provider.stop(0)


def test_function_call_without_functions_fails(engine: Any) -> None:
    assert "no function toy:index:get" in fail(lambda: engine.Invoke(pb.InvokeRequest(tok="toy:index:get"))).details()


def test_about_the_provider(engine: Any) -> None:
    assert engine.GetPluginInfo(empty_pb2.Empty()).version == "1.2.3"
    assert '"toy:index:Thing"' in engine.GetSchema(pb.GetSchemaRequest()).schema
    inputs = wire(version="1.2.3", token=secret(PASSWORD))
    assert engine.CheckConfig(pb.CheckRequest(urn=URN, news=inputs)).inputs == inputs
    same = engine.DiffConfig(pb.DiffRequest(urn=URN, old_inputs=inputs, news=inputs))
    assert same.changes == pb.DiffResponse.DIFF_NONE
