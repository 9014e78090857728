"""No module of ours imports itself by way of others; import-linter's contract looks at folders as well."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

PACKAGES = ("cli", "cloud_init", "components", "policy", "provider", "sandbox", "stacks", "tools")
INTERWOVEN = ("sandbox.standin.freeswitch.", "sandbox.standin.opensips.")
"""Stand-ins whose functions call one another as the real programs' do."""


def find_circle(imports: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circle, empty without any."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def test_there_is_no_circle() -> None:
    graph = grimp.build_graph(*PACKAGES)
    modules = [module for module in graph.modules if not module.startswith(INTERWOVEN)]
    assert len(modules) > 200, "hardly any module was found"
    assert not find_circle({module: graph.find_modules_directly_imported_by(module) for module in modules})


@pytest.mark.parametrize("length", [2, 3])
def test_a_circle_is_found(length: int) -> None:
    names = [f"m{number}" for number in range(length)]
    assert set(find_circle({name: {names[number - 1]} for number, name in enumerate(names)})) == set(names)
