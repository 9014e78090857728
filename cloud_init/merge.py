"""Joining cloud-config documents: lists append, maps join, the same scalar twice is an error naming both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge_documents(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One document out of several, keyed by where each comes from."""
    result: dict[str, Any] = {}
    origin: dict[tuple[str, ...], str] = {}
    for name, document in documents.items():
        _merge(result, document, (), name, origin)
    return result


def _merge(
    target: dict[str, Any], source: Mapping[str, Any], path: tuple[str, ...], name: str, origin: dict[tuple[str, ...], str]
) -> None:
    for key, value in source.items():
        here = (*path, key)
        if key not in target:
            origin[here] = name
            if isinstance(value, dict):
                target[key] = {}
                _merge(target[key], value, here, name, origin)
            else:
                target[key] = list(value) if isinstance(value, list) else value
        elif isinstance(target[key], dict) and isinstance(value, dict):
            _merge(target[key], value, here, name, origin)
        elif isinstance(target[key], list) and isinstance(value, list):
            target[key] += value
        else:
            raise ValueError(f"{origin[here]} and {name} both set {'.'.join(here)}: {target[key]!r} and {value!r}")
