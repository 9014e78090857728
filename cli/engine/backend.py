"""The folder of a `file://` backend, which is the user's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from stacks.settings import STACKS
from tools.engine.environment import FILE, find_backend

ROOT = STACKS.parent


def mend_sidecars(environment: Mapping[str, str]) -> None:
    """Remove what a killed engine left half written beside the files of a `file://` backend: without it all is as before."""
    folder = state_folder(environment)
    for path in sorted((folder / "stacks").rglob("*.attrs")) if folder else ():
        try:
            json.loads(path.read_text())
        except ValueError:
            path.unlink(missing_ok=True)


def read_project() -> Mapping[str, Any]:
    """Return what the project's file says."""
    return _parse_project((ROOT / "Pulumi.yaml").read_text())


@lru_cache(maxsize=1)
def _parse_project(text: str) -> Mapping[str, Any]:
    # Several times in a command, and most of it describes settings.
    document: Mapping[str, Any] = yaml.safe_load(text)
    return document


def state_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the folder of a `file://` backend; None for every other kind, which are the user's own.

    As the engine reads it: `~` is the user's home, and what follows a question mark are options.
    """
    declared = (read_project().get("backend") or {}).get("url", "")
    address = environment.get("PULUMI_BACKEND_URL") or declared or find_backend(environment)
    if not address.startswith(FILE):
        return None
    path = Path(unquote(address.removeprefix(FILE).partition("?")[0]))
    if path.parts[:1] == ("~",):
        path = Path(environment.get("HOME") or Path.home(), *path.parts[1:])
    return path / ".pulumi" if path.is_absolute() else None
