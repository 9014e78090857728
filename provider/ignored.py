"""Inputs that a program ignores the changes of, which the engine leaves to the provider when it reads things again."""

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

from provider.values import Properties

_STEP = re.compile(r'\["([^"]+)"\]|\[(\d+)\]|([^.\[\]]+)')


def keep_ignored(old: Properties, new: Properties, paths: Iterable[str]) -> Properties:
    """Return the new inputs with the old values at paths such as `metadata["startup-script"]`, `disks[0].importFrom`.

    Before an update the engine itself has put them there. After a reading it asks for the difference between what was found,
    `old`, and what the program gave, `new` (pulumi/pulumi 3.259.0, `RefreshStep.Apply`), and passes the paths on.
    """
    kept = deepcopy(new)
    for path in paths:
        steps = [name or word if name or word else int(index) for name, index, word in _STEP.findall(path)]
        _put_back(old, kept, steps)
    return kept


def _put_back(old: Any, new: Any, steps: Sequence[Any]) -> None:
    """Have `new` at the end of those steps what `old` has there."""
    step, *rest = steps
    if rest:
        if _has(old, step) and _has(new, step):
            _put_back(old[step], new[step], rest)
    elif _has(old, step):
        if isinstance(new, dict) or _has(new, step):
            new[step] = deepcopy(old[step])
    elif isinstance(new, dict):
        new.pop(step, None)


def _has(values: Any, step: Any) -> bool:
    """Whether there is anything at one step."""
    return (
        step in values if isinstance(values, dict) else isinstance(values, list) and isinstance(step, int) and step < len(values)
    )
