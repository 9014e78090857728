"""The folder of a `file://` backend, which is the user's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlparse

import yaml

from stacks.settings import STACKS

ROOT = STACKS.parent


def mend_sidecars(environment: Mapping[str, str]) -> None:
    """Remove what a killed engine left half written beside the files of a `file://` backend: without it all is as before."""
    folder = state_folder(environment)
    for path in sorted((folder / "stacks").rglob("*.attrs")) if folder else ():
        try:
            json.loads(path.read_text())
        except ValueError:
            path.unlink(missing_ok=True)


def state_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the folder of a `file://` backend; None for every other kind, which are the user's own."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text()).get("backend", {}).get("url", "")
    url = urlparse(environment.get("PULUMI_BACKEND_URL") or declared)
    return Path(unquote(url.path)) / ".pulumi" if url.scheme == "file" and url.path.startswith("/") else None
