"""What every simulated resource type does (`facts/schemas/README.md` 4, 8, 24); a type adds its references, what it holds
and its own rules.

A type in ten lines:

    class Volume(Simulated):
        type = "hcloud:index/volume:Volume"
        unique = ("name",)
        references = {"serverId": "hcloud:index/server:Server"}

        def make(self, call: Call) -> Properties:
            return {"linuxDevice": f"/dev/disk/by-id/scsi-0HC_Volume_{call.id}"}
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import ClassVar

from provider.server import UNKNOWN, Changes, Failure, Handler, Properties, Request
from tests.simulator.call import Account, Call
from tests.simulator.changes import DEFAULTS, find_changes, is_changed
from tests.simulator.deletions import DELETIONS
from tests.simulator.schema import resolve
from tests.simulator.world import Refused, Thing

_REFUSED_CHANGE = "a change is sent as an update and refused by the API"
_IGNORED_CHANGE = ("updates nothing", "renames nothing", "not sent at creation")


class Simulated(Handler):
    """One resource type of a cloud.

    `references` maps paths of inputs to the type whose id they hold: it has to exist and cannot be deleted before.
    `mentions`: it has to exist at that moment only, those of `once` when the thing is made. `unique` are inputs whose
    value only one thing of the type may have. `values` are further values the cloud takes for an input, by path.
    `untold` are inputs that the API never tells: who imports the thing does not learn them.
    """

    references: ClassVar[Mapping[str, str]] = {}
    mentions: ClassVar[Mapping[str, str]] = {}
    once: ClassVar[tuple[str, ...]] = ()
    unique: ClassVar[tuple[str, ...]] = ()
    values: ClassVar[Mapping[str, set[str]]] = {}
    untold: ClassVar[tuple[str, ...]] = ()

    def __init__(self, account: Account) -> None:
        self.account = account

    # What a type says about itself

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        """What the provider refuses before it asks the cloud; values may be UNKNOWN."""
        yield from ()

    def make_id(self, call: Call) -> str:
        """The id of a new thing: a number where the schema says so, else a UUID."""
        if self.account.schema.resources[self.type].get("id") == "<number>":
            return str(10_000_000 + call.number())
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.type} {call.number()}"))

    def make(self, call: Call) -> Properties:
        """What the cloud answers to a creation, and to an update: the outputs that it computes."""
        return {}

    def change(self, call: Call) -> Properties:
        """The outputs after an update; the others stay."""
        return {**call.outputs, **self.make(call)}

    def end(self, call: Call, thing: Thing) -> None:
        """What the cloud does, or refuses, at a deletion; the thing is gone already."""

    # What the engine asks

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        schema = self.account.schema
        new = {name: value for name, value in new.items() if value is not None and name != DEFAULTS}
        failures = schema.check(self.type, new, old)
        inputs = schema.add_defaults(self.type, new, old, request.name)
        if schema.bridged:
            inputs[DEFAULTS] = sorted(inputs.keys() - new.keys())
        if not failures:
            failures = [*schema.check_names(self.type, inputs), *self.check_plan(inputs, old)]
        return inputs, failures

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        return find_changes(self.account.schema, self.type, old, new)

    def preview_create(self, request: Request, inputs: Properties) -> Properties:
        names = self.account.schema.output_names(self.type)
        return {**dict.fromkeys(names - inputs.keys(), UNKNOWN), **self._show(inputs)}

    def overwrites(self, inputs: Properties) -> bool:
        """Whether a new one takes the place of what has its name."""
        return False

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        account = self.account
        account.faults.before(request, "create", inputs, account.errors)
        with account.world.change() as world:
            call = Call(account, request, inputs)
            call.id = self.make_id(call)
            if there := world.find(self.type, call.id):
                if not self.overwrites(inputs):
                    raise Refused(f"{self.type} {call.id} already exists")
                world.drop(there)
            self._check_api(call)
            outputs = self.make(call)
            thing = Thing(self.type, call.id, request.urn, inputs, outputs, call.uses, call.holds)
            world.put(thing)
        account.faults.after(request, "create", inputs)
        return thing.id, self.show(thing)

    def read(
        self,
        request: Request,
        id: str,
        inputs: Properties,
        outputs: Properties,
    ) -> tuple[Properties, Properties] | None:
        self.account.faults.before(request, "read", inputs, self.account.errors)
        thing = self.account.world.find(self.type, id)
        if thing is None:
            return None
        if outputs:
            return thing.inputs, self.show(thing)
        inputs, shown = deepcopy(thing.inputs), deepcopy(self.show(thing))
        for parent, name in _split(self.untold):
            for values in (inputs, shown):
                (resolve(values, parent) if parent else values).pop(name, None)
        return inputs, shown

    def preview_update(
        self,
        request: Request,
        id: str,
        old: Properties,
        outputs: Properties,
        new: Properties,
    ) -> Properties:
        return {**outputs, **self._show(new)}

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        account = self.account
        account.faults.before(request, "update", new, account.errors)
        with account.world.change() as world:
            thing = world.find(self.type, id)
            if thing is None:
                raise Refused(f"{self.type} {id} not found")
            call = Call(account, request, self._keep_ignored(thing.inputs, new), id, thing.inputs, thing.outputs)
            self._check_changes(call)
            self._check_api(call)
            made = self.change(call)
            thing = Thing(self.type, id, thing.urn, call.inputs, made, call.uses, call.holds)
            world.put(thing)
        account.faults.after(request, "update", new)
        return self.show(thing)

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        account = self.account
        if account.schema.resources[self.type].get("deletion") not in DELETIONS:
            raise Refused(f"{self.type}: no rule knows how it ends; say it in schema.json, deletion")
        account.faults.before(request, "delete", inputs, account.errors)
        with account.world.change() as world:
            if thing := world.find(self.type, id):
                world.remove(thing)
                self.end(Call(account, request, thing.inputs, id, thing.inputs, thing.outputs), thing)
        account.faults.after(request, "delete", inputs)

    def show(self, thing: Thing) -> Properties:
        """What the program sees of a thing."""
        return {**self._show(thing.inputs), **thing.outputs}

    def _show(self, inputs: Properties) -> Properties:
        specs = self.account.schema.inputs(self.type)
        hashed = {name for name, spec in specs.items() if spec.get("stateIs") == "hash" and isinstance(inputs.get(name), str)}
        return {
            name: hashlib.sha1(value.encode()).hexdigest() if name in hashed else value
            for name, value in inputs.items()
            if name != DEFAULTS
        }

    def _check_api(self, call: Call) -> None:
        schema = self.account.schema
        for problem in schema.check_values(self.type, call.inputs, self.values):
            raise Refused(f"{problem.property}: {problem.reason}")
        given = [(path, value) for path, _, value in schema.walk(self.type, call.inputs)]
        for path, value in given:
            for known, is_use in ((self.references, True), (self.mentions, False)):
                target = None if call.old is not None and path in self.once else known.get(path)
                for id in value if isinstance(value, list) else [value]:
                    if target is None:
                        break
                    thing = call.find(target, id, path)
                    if is_use and thing.key not in call.uses:
                        call.use(thing)
        for name in self.unique:
            call.hold(f"{name} {call.inputs.get(name)} of {self.type}")

    def _check_changes(self, call: Call) -> None:
        """An immutable input that the provider sends anyway."""
        schema = self.account.schema
        for path, spec, _ in [*schema.walk(self.type, call.inputs), *schema.walk(self.type, call.old or {})]:
            if _REFUSED_CHANGE in spec.get("rule", "") and "[]" not in path:
                old, new = (resolve(inputs, path) for inputs in (call.old, call.inputs))
                if is_changed(schema, spec, old, new):
                    raise Refused(f"PropertyChangeNotAllowed: changing property '{path}' is not allowed")

    def _keep_ignored(self, old: Properties, new: Properties) -> Properties:
        """The inputs after an update that leaves out what the provider never sends, or does not know after an import."""
        specs = self.account.schema.inputs(self.type)
        ignored = [
            name for name in new.keys() & specs.keys() if any(words in specs[name].get("rule", "") for words in _IGNORED_CHANGE)
        ]
        kept = deepcopy({**new, **{name: old[name] for name in ignored if name in old}})
        for parent, name in _split(self.untold):
            before, after = ((resolve(values, parent) if parent else values) for values in (old, kept))
            if isinstance(before, dict) and isinstance(after, dict) and name in before:
                after.setdefault(name, before[name])
        return kept


def _split(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Paths as that of the parent, "" = none, and the last name."""
    for path in paths:
        parent, _, name = path.rpartition(".")
        yield parent, name
