"""Operations of an engine that died, of which nobody knows whether they happened.

A creation is looked up by the name or the tags that the program gave it. What is there is adopted, never made twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cli.console import Failure, format_count, progress
from cli.engine.ask import Answer, Question, ask
from cli.engine.backend import ROOT
from cli.engine.engine import Engine
from cli.engine.events import noun
from components.clouds.adoption import Setting, Way
from components.clouds.registry import load_ways

Resource = dict[str, Any]

NOT_ASKED = ("webitel:", "pulumi:")
"""Types whose creation may be repeated: ours adopt what is there by its name, the engine's own are nothing in a cloud."""


def settle_pending_operations(engine: Engine) -> None:
    """Settle what an engine that died left in the state."""
    state = engine.export()
    if pending := state["deployment"].get("pending_operations"):
        progress(f"Resuming after an interrupted run: checking {format_count(len(pending), 'operation')} again.")
        settle(engine, state, pending)


def settle(engine: Engine, state: dict[str, Any], pending: Sequence[Mapping[str, Any]]) -> None:
    """Adopt what interrupted creations made, look again at what was being changed or deleted, and forget the operations."""
    resources: list[Resource] = state["deployment"].get("resources", [])
    theirs = [one for one in pending if not one["resource"]["type"].startswith(NOT_ASKED)]
    begun = {one["resource"]["urn"]: one["resource"] for one in theirs if one["type"] == "creating"}
    known = {one["urn"] for one in resources}
    unsure = {one["resource"]["urn"] for one in theirs if one["type"] != "creating" and one["resource"]["urn"] in known}
    found = find_ids(engine, list(begun.values()), resources)
    if found:
        for urn, id in found.items():
            resources = adopt(resources, as_made(begun[urn], id))
        state["deployment"]["resources"] = resources
        # An import drops the operations. Interrupted here, the next run goes on with what was adopted, and as yet unread.
        engine.run("stack", "import", stdin=json.dumps(state))
    if targets := sorted(unsure | found.keys()):
        # In the checkout, where the project's own provider is.
        engine.run(
            "refresh",
            "--yes",
            "--skip-preview",
            "--config-file",
            str(engine.config_file),
            *(word for urn in targets for word in ("--target", urn)),
            folder=ROOT,
        )
        state = engine.export()
        for one in state["deployment"].get("resources", []):
            if one["urn"] in found:
                progress(f"Adopted {noun(one['urn'])} {one['urn'].rpartition('::')[2]}: it was made before the interruption.")
    state["deployment"]["pending_operations"] = []
    engine.run("stack", "import", stdin=json.dumps(state))


def as_made(begun: Resource, id: str) -> Resource:
    """Return what a creation made, as far as the program knows. Told nothing, a provider takes the thing for an unknown one and
    reads what its interface tells, which is not all: of a Hetzner server not its addresses, and the next `up` would take
    them from it to give them to it. An id that is for an import only leads nowhere else: read by it as by the thing's own, an
    association of AWS is taken for gone, and the next `up` fails at making it again."""
    return {**begun, "id": id, "outputs": {} if find_way(begun).imported else without_defaults(begun["inputs"])}


def without_defaults(value: Any) -> Any:
    """Return inputs as the outputs repeat them: without the notes of what a provider filled in."""
    if isinstance(value, dict):
        return {name: without_defaults(item) for name, item in value.items() if name != "__defaults"}
    return [without_defaults(item) for item in value] if isinstance(value, list) else value


def adopt(resources: Sequence[Resource], made: Resource) -> list[Resource]:
    """Return the resources of a state with one more, which replaces one of the same name that it was made for."""
    kept = []
    for one in resources:
        if one["urn"] == made["urn"]:
            if one.get("id") == made["id"] or one.get("pendingReplacement"):
                continue  # adopted by a run that was interrupted too, or deleted before its successor was made
            one = {**one, "delete": True}
        kept.append(one)
    # Behind what it needs, and before what needs its predecessor: each stands in the state behind what it refers to.
    needed = list_needed(made)
    known = {one["urn"]: place for place, one in reversed([*enumerate(kept, 1)]) if not one.get("delete")}
    place = max((place for urn, place in known.items() if urn in needed), default=len(kept))
    return [*kept[:place], made, *kept[place:]]


def list_needed(resource: Resource) -> set[str]:
    """Return the names of the resources that one refers to."""
    by_property: Mapping[str, Sequence[str]] = resource.get("propertyDependencies") or {}
    provider = resource.get("provider", "").rpartition("::")[0]
    return {
        *(resource.get("dependencies") or ()),
        *(urn for urns in by_property.values() for urn in urns),
        resource.get("parent", ""),
        resource.get("deletedWith", ""),
        provider,
    }


def find_ids(engine: Engine, begun: Sequence[Resource], resources: Sequence[Resource]) -> dict[str, str]:
    """Return by name of a creation that was begun the id of what it made; those left out made nothing."""
    ways = {one["urn"]: find_way(one) for one in begun}
    asked = [one for one in begun if ways[one["urn"]].function]
    questions = [
        make_question(one, ways[one["urn"]].function, ways[one["urn"]].arguments(one["inputs"]), resources) for one in asked
    ]
    answers = dict(zip((one["urn"] for one in asked), ask(engine, questions), strict=True))
    found = {}
    for one in begun:
        urn, way = one["urn"], ways[one["urn"]]
        answer = answers.get(urn, Answer({}))
        if answer.error and way.nothing and re.search(way.nothing, answer.error):
            continue
        if answer.error:
            raise Failure(f"the cloud does not say whether {describe(urn)} was created:\n{answer.error}")
        given, setting = complete(one, resources), setting_of(engine, one, resources)
        if way.ask:
            answer = Answer(ask_directly(setting, urn, way))
        made = look_directly(setting, urn, given, way) if way.look else way.ids(given, answer.values)
        others = {other.get("id") for other in resources if other["type"] == one["type"] and is_another(other, one)}
        ids = [id for id in made if id not in others]
        if len(ids) > 1:
            raise Failure(
                f"{len(ids)} things may be {describe(urn)}, whose creation was interrupted: {', '.join(sorted(ids))}. "
                "Delete the ones that nothing uses in the cloud's console, then run this again."
            )
        if ids:
            found[urn] = ids[0]
    return found


def is_another(resource: Resource, begun: Resource) -> bool:
    """Return whether a resource of the state is something else than what the creation made: not one adopted and not yet read,
    which has the creation's inputs and nothing more, nor one that was deleted for its successor, whose id that may have
    again."""
    if resource["urn"] != begun["urn"]:
        return True
    adopted = resource.get("inputs") == begun["inputs"] and (resource.get("outputs") or {}) == as_made(begun, "")["outputs"]
    return not adopted and not resource.get("pendingReplacement")


def find_way(resource: Resource) -> Way:
    """Return how a resource is found by its type."""
    try:
        return load_ways()[resource["type"]]
    except KeyError:
        raise Failure(
            f"it is unknown whether {describe(resource['urn'])} was created, and its type {resource['type']} cannot be looked "
            "up. Look in the cloud's console, then run: pulumi refresh (it asks for the id, or clears it)"
        ) from None


def describe(urn: str) -> str:
    """Return such as `the volume data-1-database` of a resource."""
    return f"the {noun(urn)} {urn.rpartition('::')[2]}"


def make_question(
    resource: Resource,
    function: str,
    arguments: Mapping[str, Any],
    resources: Sequence[Resource],
) -> Question:
    """Return the question to the provider that was told to make it."""
    settings = {name: value for name, value in settings_of(resource, resources).items() if not name.startswith("__")}
    version = str(settings.pop("version", ""))
    return Question(function, dict(arguments), version, settings if is_made_by_program(resource) else None)


def settings_of(resource: Resource, resources: Sequence[Resource]) -> Mapping[str, Any]:
    """Return the inputs of a resource's provider as the state has them."""
    urn = resource.get("provider", "").rpartition("::")[0]
    return next((one.get("inputs") or {} for one in resources if one["urn"] == urn), {})


def setting_of(engine: Engine, resource: Resource, resources: Sequence[Resource]) -> Setting:
    """Return what reads a setting of the provider that made a resource: of one that the program made itself, its own."""
    own = is_made_by_program(resource)
    given = settings_of(resource, resources) if own else {}
    package = resource["type"].partition(":")[0]

    def read(name: str) -> str:
        value = given.get(name.removeprefix(f"{package}:")) if name.startswith(f"{package}:") else None
        return value if isinstance(value, str) else engine.setting(name)

    return read


def is_made_by_program(resource: Resource) -> bool:
    """Return whether the program made the provider of a resource, in place of the engine, which makes the default one."""
    provider = str(resource.get("provider", "")).rpartition("::")[0].rpartition("::")[2]
    return bool(provider) and not provider.startswith("default")


def complete(resource: Resource, resources: Sequence[Resource]) -> dict[str, Any]:
    """Return a resource's inputs, and its provider's where it says nothing itself: Google's project."""
    given: dict[str, Any] = resource["inputs"]
    return {**settings_of(resource, resources), **given}


def ask_directly(setting: Setting, urn: str, way: Way) -> Mapping[str, Any]:
    """Return what only the cloud's own interface tells."""
    assert way.ask
    try:
        return way.ask(setting)
    except OSError as error:
        raise Failure(f"the cloud does not say whether {describe(urn)} was created: {error}") from error


def look_directly(setting: Setting, urn: str, inputs: Mapping[str, Any], way: Way) -> list[str]:
    """Return the ids that the cloud's own interface tells for the inputs of a creation."""
    assert way.look
    try:
        return way.look(inputs, setting)
    except OSError as error:
        raise Failure(f"the cloud does not say whether {describe(urn)} was created: {error}") from error
