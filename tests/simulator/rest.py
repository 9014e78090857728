"""What the clouds' own interfaces tell where Pulumi's provider has no function: documents in the shape that the vendor gives.

A cloud's `rest.json` has the shapes, recorded from the vendor's machine-readable description (its `source`), by method and path;
its `rest.py` has `ANSWERS`, what a simulated cloud says. A field that the vendor does not have is an error of the simulator.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.clouds.registry import CLOUDS
from tests.simulator.world import World

KINDS: Mapping[str, type | tuple[type, ...]] = {"string": str, "number": (int, float), "boolean": bool}


@dataclass(frozen=True)
class Asked:
    """A call: the world, the parts of the path that the shape's expression does not fix, and the body of a posted one."""

    world: World
    path: str
    body: Mapping[str, Any]

    def part(self, before: str) -> str:
        """The part of the path behind another one."""
        parts = self.path.split("/")
        return parts[parts.index(before) + 1]


Answer = Callable[[Asked], Any]
"""A document; None = 404."""


@cache
def load_documents() -> Mapping[str, tuple[Any, Answer]]:
    """Shapes and answers by `METHOD path`, an expression."""
    found: dict[str, tuple[Any, Answer]] = {}
    for cloud in CLOUDS:
        file = Path(__file__).parent / cloud / "rest.json"
        if file.exists():
            answers: Mapping[str, Answer] = importlib.import_module(f"tests.simulator.{cloud}.rest").ANSWERS
            for call, shape in json.loads(file.read_text())["documents"].items():
                name = next(name for name in answers if call.endswith(name))
                found[call] = shape, answers[name]
    return found


def tell(world: World, method: str, path: str, body: Mapping[str, Any]) -> Any:
    """What is answered, None where the cloud has no such thing. An AssertionError where the simulator tells what no vendor
    does."""
    for call, (shape, answer) in load_documents().items():
        if re.fullmatch(call, f"{method} {path}"):
            document = answer(Asked(world, path, body))
            wrong = [] if document is None else list(find_strange(document, shape, call))
            assert not wrong, wrong
            return document
    return None


def find_strange(value: Any, shape: Any, place: str) -> Iterator[str]:
    """Name what a document has and its shape has not."""
    if isinstance(shape, str):
        if not isinstance(value, KINDS[shape]) or (shape == "number" and isinstance(value, bool)):
            yield f"{place}: {value!r} is no {shape}"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{place}: {value!r} is no list"
        else:
            for item in value:
                yield from find_strange(item, shape[0], f"{place}[]")
    elif not isinstance(value, dict):
        yield f"{place}: {value!r} is no object"
    else:
        for name, inner in value.items():
            if shape and name not in shape:
                yield f"{place}.{name}: the vendor has no such field"
            elif shape:
                yield from find_strange(inner, shape[name], f"{place}.{name}")
