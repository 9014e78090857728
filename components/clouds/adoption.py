"""How a resource is found again of which nobody knows whether it was made: by type, from the inputs of its creation.

Sources: the import sections and functions of each provider's documentation, checked against the installed SDKs. What is
found is read by the engine afterwards, so an id made of names may be of something that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
Setting = Callable[[str], str]
"""A value of the stack's configuration by its full name, "" without one."""


@dataclass(frozen=True)
class Way:
    """From a creation's inputs to the ids, as the provider takes them for an import, of what it may have made.

    `function` is a function of the provider, asked with `arguments` of the inputs; `nothing` is a regular expression for its
    error that means no more than that there is none. `ask` is for what no function tells. Without both an id is made of the
    inputs alone. `look` asks for this very thing, by code of the cloud's own. `imported`: that id is for an import only, at
    which the provider finds out the one it reads by. `unread`: the provider may never answer where it is to read such a thing
    again, so only what an interruption left is read.
    """

    ids: Callable[[Values, Values], list[str]]
    function: str = ""
    arguments: Callable[[Values], Values] = lambda inputs: {}
    nothing: str = ""
    ask: Callable[[Setting], Values] | None = None
    imported: bool = False
    look: Callable[[Values, Setting], list[str]] | None = None
    unread: bool = False


REPEATED = Way(lambda inputs, answer: [])
"""Its provider looks itself before it makes it: made twice it is there once."""


def tell(id: Any) -> str:
    """Return an id as text: numbers in an answer arrive with a decimal point."""
    return str(int(id)) if isinstance(id, float) else str(id)


def made_of(shape: str, imported: bool = False) -> Way:
    """Look for an id that is made of inputs."""
    return Way(
        lambda inputs, answer: [shape.format_map({name: tell(value) for name, value in inputs.items()})], imported=imported
    )
