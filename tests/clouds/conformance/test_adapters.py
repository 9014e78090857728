"""What the adapters ask for when they are loaded."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from components.clouds.registry import CLOUDS

pytestmark = pytest.mark.clouds

ROOT = Path(__file__).resolve().parents[3]
ADAPTERS = [name for name in CLOUDS if CLOUDS[name].real]
LOADING = """
import importlib.abc, importlib.machinery, os, sys, types
import pulumi

class Sdk(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Sdk(name)

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.startswith("pulumi_") else None

    def create_module(self, spec):
        return Sdk(spec.name)

    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Finder())
for name in sys.argv[1:]:
    if not (child := os.fork()):
        importlib.import_module(f"components.clouds.{name}.adapter")
        print(name, *sorted({m.partition(".")[0] for m in sys.modules if m.startswith("pulumi_")}), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, name
"""
"""Loads each adapter in a process of its own, with modules that are empty in place of the SDKs, which take seconds each."""


@cache
def list_loaded() -> dict[str, list[str]]:
    """The SDKs that each adapter and what it imports ask for."""
    shown = subprocess.run(
        [sys.executable, "-c", LOADING, *ADAPTERS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return {name: loaded for name, *loaded in map(str.split, shown.splitlines())}


@pytest.mark.parametrize("name", ADAPTERS)
def test_loads_its_own_sdk_only(name: str) -> None:
    assert list_loaded()[name] == [f"pulumi_{CLOUDS[name].package.replace('-', '_')}"]
