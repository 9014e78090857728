"""The whole program in this process, without an engine: every registration goes straight to a simulated cloud.

A run takes a fraction of a second, so that dozens of planted bugs can be tried. What only an engine does (previews,
diffs, replacing, the order of deletions) is not here: test_day_two.py has it.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pulumi.runtime.resource
import yaml
from google.protobuf import empty_pb2
from pulumi.runtime.mocks import MockEngine, MockMonitor
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.proto.source_pb2 import StackTrace
from pulumi.runtime.settings import Settings, set_root_resource
from pulumi.runtime.settings import configure as configure_runtime
from pulumi.runtime.stack import run_in_stack

from components.clouds.registry import CLOUDS
from provider.handler import ProviderError, Request
from provider.server import Provider
from provider.values import Marks, Properties, decode, encode, find_secrets
from stacks.deployment import deploy
from stacks.settings import stack_file
from tests.simulator.bugs import Draft
from tests.simulator.case import load_case

Config = Mapping[str, Any]
PROJECT = "webitel"


@dataclass(frozen=True)
class Registration:
    """A resource as the program registered it, with what the simulated provider answered.

    `given` are the inputs of the program, `inputs` those that the provider's check made of them; `secret_paths` the
    places of secrets in `given`, `secret_values` the texts of the secrets that it answered.
    """

    urn: str
    type: str
    name: str
    parent: str
    given: Properties
    inputs: Properties
    id: str = ""
    outputs: Properties = field(default_factory=dict)
    protect: bool = False
    ignore_changes: tuple[str, ...] = ()
    delete_before_replace: bool = False
    depends_on: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    secret_paths: frozenset[tuple[str | int, ...]] = frozenset()
    secret_values: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    provider: str = ""
    retained: bool = False


Tamper = Callable[[Draft], None]


class ProgramError(Exception):
    """A registration that the simulated cloud refused."""


class DirectMonitor(MockMonitor):
    """Answers the program in place of the engine: check and create by the handler of each type, functions too."""

    def __init__(self, stack: str, providers: Sequence[Provider], tamper: Tamper | None, preview: bool) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # no mocks: every call that would ask them is our own
        self.stack, self.tamper, self.preview = stack, tamper, preview
        self.providers = {provider.name: provider for provider in providers}
        self.registrations: dict[str, Registration] = {}
        self.settings: dict[str, Properties] = {}
        """What the providers of the program's own were told, by their names."""
        self.outputs: Properties = {}

    def RegisterResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        if urn in self.registrations:
            raise ProgramError(f"registered twice: {urn}")
        marks = Marks()
        given = decode(request.object, marks)
        draft = Draft(
            request.type, request.name, given, bool(request.protect), list(request.ignoreChanges), request.deleteBeforeReplace
        )
        draft.retained = bool(request.retainOnDelete)
        if self.tamper:
            self.tamper(draft)
        inputs = given
        id, outputs = "", inputs
        if draft.forgotten:
            id = "forgotten"
        elif request.type.startswith("pulumi:providers:"):
            configure = self.providers[request.type.rpartition(":")[2]].configure
            id, self.settings[urn] = "configured", inputs
            if configure:
                configure(inputs)
        elif request.custom:
            call = Request(urn, preview=self.preview, settings=self.settings.get(request.provider.rpartition("::")[0]))
            handler = self._provider(request.type).handlers[request.type]
            inputs, failures = handler.check(call, None, inputs)
            if failures:
                raise ProgramError(f"{urn}: {'; '.join(f'{one.property}: {one.reason}' for one in failures)}")
            try:
                if self.preview:
                    outputs = {**inputs, **handler.preview_create(call, inputs)}
                else:
                    id, outputs = handler.create(call, inputs)
            except ProviderError as error:
                raise ProgramError(f"{urn}: {error}") from error
        self.registrations[urn] = Registration(
            urn,
            request.type,
            request.name,
            request.parent,
            given,
            inputs,
            id,
            outputs,
            draft.protect,
            tuple(draft.ignore_changes),
            draft.delete_before_replace,
            tuple(request.dependencies),
            (*request.aliasURNs, *(alias.spec.type for alias in request.aliases)),
            frozenset(marks.paths),
            tuple(list_texts(find_secrets(outputs))),
            tuple(request.replaceOnChanges),
            request.provider,
            draft.retained,
        )
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id, object=encode(outputs, marks))

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if request.urn.endswith(f"::pulumi:pulumi:Stack::{PROJECT}-{self.stack}"):
            self.outputs = decode(request.outputs, Marks())
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:
        response = resource_pb2.ResourceInvokeResponse()
        if request.tok in ("pulumi:pulumi:readStackOutputs", "pulumi:pulumi:readStackResourceOutputs"):
            answer: Properties = {"outputs": {}}  # of the run before: there was none
        else:
            invoke = self._provider(request.tok).invoke
            assert invoke is not None
            answer = invoke(Request(""), request.tok, decode(request.args, Marks()))
        getattr(response, "return").CopyFrom(encode(answer, Marks()))  # a keyword of Python
        return response

    def _provider(self, token: str) -> Provider:
        package = token.partition(":")[0]
        if package not in self.providers:
            raise ProgramError(f"{token}: no provider {package}, only {', '.join(self.providers)}")
        return self.providers[package]


def list_texts(value: Any) -> Iterator[str]:
    """Every text inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from list_texts(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from list_texts(item)


ACCEPTED: Config = {"allow_plain_http": True}
"""What the package source `vendor` needs to be accepted; not in the committed files."""


def read_config(stack: str, changes: Config | None = None) -> dict[str, Any]:
    """The settings of a committed stack file by short name, with changes; None takes one away."""
    document = yaml.safe_load(stack_file(stack).read_text())["config"]
    config = {name.removeprefix("webitel:"): value for name, value in document.items()}
    merged = {**ACCEPTED, **config, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not None}


SECRET_CONFIG = {"repository_user": "user", "repository_password": "repository-password", "freeswitch_token": "pat-token"}
"""What the package source `vendor` needs; not in the committed files."""


CLOUD_CONFIG: Mapping[str, Mapping[str, str]] = {
    cloud.package: config for name, cloud in CLOUDS.items() if cloud.real and (config := load_case(name).config)
}
"""What a user has set of the cloud's own provider, in the stack file or the environment, by package."""


def run_program(
    stack: str,
    providers: Sequence[Provider],
    changes: Config | None = None,
    *,
    tamper: Tamper | None = None,
    cloud_config: Mapping[str, Mapping[str, str]] | None = None,
    preview: bool = False,
) -> tuple[list[Registration], Properties]:
    """Everything that the program registers for a committed stack, in order, and the stack's outputs.

    Raises ProgramError for the first registration that is refused.
    """
    config = {**SECRET_CONFIG, **read_config(stack, changes)}
    texts = {f"webitel:{name}": value if isinstance(value, str) else json.dumps(value) for name, value in config.items()}
    for provider in providers:
        own = (cloud_config or {}).get(provider.name, {})
        texts |= {f"{provider.name}:{name}": value for name, value in own.items()}
        if provider.configure:  # the default provider, where the program makes none of its own
            provider.configure(dict(own))
    monitor = DirectMonitor(stack, providers, tamper, preview)

    def run() -> None:
        set_root_resource(None)  # type: ignore[arg-type]  # another test's may still stand in this thread
        configure_runtime(Settings(PROJECT, stack, monitor=monitor, engine=MockEngine(None), dry_run=preview))
        pulumi.runtime.set_all_config(texts, [f"webitel:{name}" for name in SECRET_CONFIG])
        asyncio.run(run_in_stack(deploy))

    gc.disable()  # half of the time it would look through the SDKs' objects, of which none goes
    try:
        # Where in the source each resource is registered takes a tenth of a run, and nothing here asks.
        with patch.object(pulumi.runtime.resource, "_get_stack_trace", StackTrace):
            contextvars.copy_context().run(run)
    finally:
        gc.enable()
        pulumi.runtime.set_all_config({})
    return list(monitor.registrations.values()), monitor.outputs
