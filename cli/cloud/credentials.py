"""Which credentials the clouds' providers take, and which of them are here: names only, never a value."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.model.clouds.facts import CloudFacts, Sources


@dataclass(frozen=True)
class Found:
    """What is here, by name, what is missing with its remedy, by what it is, and how credentials are given."""

    names: tuple[str, ...]
    missing: Mapping[str, str]
    remedy: str


def find_credentials(
    facts: CloudFacts,
    config: Collection[str],
    environ: Mapping[str, str] = os.environ,
    home: Path | None = None,
) -> Found:
    """Return the credentials of a cloud. `config` are the names under the provider's namespace in the stack file."""
    sources, home = facts.credentials, home or Path.home()
    complete = [names for names in sources.variables if all(environ.get(name) for name in names)]
    begun = [names for names in sources.variables if any(environ.get(name) for name in names)]
    found = [
        *dict.fromkeys(name for names in complete for name in names),
        *(f"~/{name}" for name in sources.files if (home / name).exists()),
        *(f"{name} in the stack file" for name in sources.config if name in config),
    ]
    remedy = " or ".join(explain_ways(sources))
    missing = {}
    if not found and begun:
        nearest = min(begun, key=lambda names: sum(not environ.get(name) for name in names))
        here, lacking = ([name for name in nearest if bool(environ.get(name)) is wanted] for wanted in (True, False))
        missing["credentials"] = f"{', '.join(here)} alone is not enough: {export(lacking)}"
    elif not found:
        missing["credentials"] = remedy
    for what, (variables, key, command) in sources.also.items():
        if given := [name for name in variables if environ.get(name)]:
            found.append(given[0])
        elif key not in config:
            missing[what] = command
    return Found(tuple(found), missing, remedy)


def explain_ways(sources: Sources) -> Iterator[str]:
    """Yield how to give credentials: the log-in, and the variables that need none."""
    if sources.files:
        yield sources.login
    exports = export(sources.variables[0])
    yield exports if sources.files else f"{exports} (from {sources.login})"


def export(names: Iterable[str]) -> str:
    """Return the command that sets variables."""
    return "export " + " ".join(f"{name}=..." for name in names)
