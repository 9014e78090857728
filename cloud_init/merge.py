"""Joining cloud-config documents: lists append, maps join, the same scalar twice is an error naming both."""

from __future__ import annotations

from collections.abc import Mapping

Document = dict[str, object]
"""A cloud-config document, or a part of one."""


def merge_documents(documents: Mapping[str, Document]) -> Document:
    """Join several documents, keyed by where each comes from, into one."""
    result: Document = {}
    origin: dict[tuple[str, ...], str] = {}
    for name, document in documents.items():
        _merge(result, document, (), name, origin)
    return result


def _merge(
    target: Document, source: Mapping[str, object], path: tuple[str, ...], name: str, origin: dict[tuple[str, ...], str]
) -> None:
    for key, value in source.items():
        here = (*path, key)
        known = target.get(key)
        if key not in target:
            origin[here] = name
            if isinstance(value, dict):
                part: Document = {}
                target[key] = part
                _merge(part, value, here, name, origin)
            else:
                target[key] = list(value) if isinstance(value, list) else value
        elif isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value, here, name, origin)
        elif isinstance(known, list) and isinstance(value, list):
            known += value
        else:
            raise ValueError(f"{origin[here]} and {name} both set {'.'.join(here)}: {known!r} and {value!r}")
