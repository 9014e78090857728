"""Stored images: two checkouts that take turns do not push each other's out of the cache, and it stays small."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.incus import api, builder, images
from tools.incus.stored import KEPT

EARLIEST, DAY = 1_700_000_000, 86_400


class FakeIncus:
    """Images by alias; what is exported and imported is only written down."""

    def __init__(self) -> None:
        self.aliases: dict[str, str] = {}
        self.told: list[str] = []

    def find(self, path: str) -> object:
        """Tell whether there is an image of that alias."""
        return self.aliases.get(path.rpartition("/")[2])

    def list_objects(self, path: str) -> list[Mapping[str, Any]]:
        """List the images."""
        long_ago = "2026-01-01T00:00:00Z"
        return [
            {"aliases": [{"name": alias}], "fingerprint": alias, "uploaded_at": long_ago, "last_used_at": long_ago}
            for alias in self.aliases
        ]

    def remove(self, path: str) -> None:
        """Forget an image."""
        del self.aliases[path.rpartition("/")[2]]

    def command(self, *words: str) -> None:
        """Do what `incus` does with images."""
        self.told.append(words[1])
        if words[1] == "export":
            Path(f"{words[3]}.tar").write_text(words[2])
        if words[1] == "import":
            self.aliases[words[-1]] = "there"


@pytest.fixture
def incus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeIncus:
    fake = FakeIncus()
    monkeypatch.setattr(images, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(images, "ensure_base_image", lambda progress: "webitel-base-123456789abc")
    for name in ("find", "list_objects", "remove"):
        monkeypatch.setattr(api, name, getattr(fake, name))
    monkeypatch.setattr(images, "_incus", fake.command)
    return fake


def stored(folder: Path) -> list[str]:
    """The keys of the images with packages in the cache, the one used last at the end."""
    files = sorted(folder.glob("webitel-packages-*"), key=lambda file: file.stat().st_mtime)
    return [file.name.removeprefix("webitel-packages-").removesuffix("-123456.tar") for file in files]


def take(incus: FakeIncus, folder: Path, key: str, at: int) -> None:
    """A run of a checkout whose image has that key, and its end, which puts images away."""
    images.ensure_packages_image(key, "#cloud-config", lambda text: None)
    images.store_images(lambda text: None)
    os.utime(folder / f"webitel-packages-{key}-123456.tar", (EARLIEST + at * DAY,) * 2)


def test_checkouts_that_take_turns_keep_their_images(incus: FakeIncus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    monkeypatch.setattr(builder, "start_builder", lambda *given: Machine())
    monkeypatch.setattr(builder, "wait_for_install", lambda progress: None)

    def publish(alias: str, *more: object) -> None:
        built.append(alias)
        incus.aliases[alias] = "there"

    monkeypatch.setattr(builder, "publish", publish)
    for at, key in enumerate(["one", "two", "one", "two", "one"]):
        take(incus, tmp_path, key, at)
    assert [alias.split("-")[2] for alias in built] == ["one", "two"]
    for at, key in enumerate(["three", "four", "five"], 5):
        take(incus, tmp_path, key, at)
    assert stored(tmp_path) == ["three", "four", "five"] and len(stored(tmp_path)) == KEPT


def test_what_an_interrupted_run_left_half_written_goes(incus: FakeIncus, tmp_path: Path) -> None:
    incus.aliases["webitel-packages-one-123456"] = "there"
    (tmp_path / "webitel-packages-old-123456.part.tar").write_text("half")
    images.store_images(lambda text: None)
    assert stored(tmp_path) == ["one"]


class Machine:
    """A machine that is made into an image."""

    def __enter__(self) -> None:
        """Start nothing."""

    def __exit__(self, *error: object) -> None:
        """End nothing."""
