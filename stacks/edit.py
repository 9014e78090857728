"""Changing a stack file as a careful person would: one value, every comment and every other line as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stacks.problems import NAMESPACE, to_yaml

Change = tuple[tuple[str, ...], Any]
"""The way to a value below `config` and the new value; None takes it out."""


class EditError(Exception):
    """The file is laid out in a way that is not understood; the message says what to write by hand."""


def set_setting(path: Path, name: str, value: Any) -> None:
    """Give a setting (`counts.app` is `app` inside `counts`) a value in a stack file; None takes it out."""
    setting, _, inner = name.partition(".")
    keys = (f"{NAMESPACE}:{setting}", *([inner] if inner else []))
    text = edit_text(path.read_text(), (keys, value))
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.replace(path)


def edit_text(text: str, change: Change) -> str:
    """The text with one value changed. An EditError where the result would not be exactly that."""
    keys, value = change
    wanted = yaml.safe_load(text) or {}
    config = wanted["config"] = dict(wanted.get("config") or {})
    hold = config
    for key in keys[:-1]:
        hold[key] = dict(hold.get(key) or {})
        hold = hold[key]
    if value is None:
        hold.pop(keys[-1], None)
    else:
        hold[keys[-1]] = value
    try:
        changed = place(text, keys, value)
        if yaml.safe_load(changed) == wanted:
            return changed
    except (LookupError, yaml.YAMLError):
        pass
    by_hand = "" if value is None else f" {to_yaml(value)}"
    raise EditError(f"this stack file's layout is not understood; in an editor {'remove' if value is None else 'set'} "
                    f"{' > '.join(keys)}{by_hand}")


def place(text: str, keys: tuple[str, ...], value: Any) -> str:
    """The text with the value put in, replaced or taken out where its mapping is written in block or flow style."""
    mapping = find(yaml.compose(text), "config")
    if mapping is None:
        raise LookupError("config")
    for depth, key in enumerate(keys):
        key_node, node = find_pair(mapping, key)
        rest = keys[depth + 1:]
        if key_node is None or node is None:
            return text if value is None else insert(text, mapping, key, rest, value)
        if not rest:
            return remove(text, key_node, node) if value is None else replace(text, node, to_yaml(value))
        if not isinstance(node, yaml.MappingNode):
            return text if value is None else replace(text, node, to_yaml(nest(rest, value)))
        mapping = node
    raise LookupError(keys)


def find(node: yaml.Node | None, key: str) -> yaml.MappingNode | None:
    """The mapping behind a key."""
    found = find_pair(node, key)[1] if isinstance(node, yaml.MappingNode) else None
    return found if isinstance(found, yaml.MappingNode) else None


def find_pair(mapping: yaml.MappingNode, key: str) -> tuple[yaml.Node | None, yaml.Node | None]:
    """A key and its value as they stand in the text."""
    return next(((name, value) for name, value in mapping.value if name.value == key), (None, None))


def nest(keys: tuple[str, ...], value: Any) -> Any:
    """The value inside one mapping a key."""
    for key in reversed(keys):
        value = {key: value}
    return value


def insert(text: str, mapping: yaml.MappingNode, key: str, rest: tuple[str, ...], value: Any) -> str:
    """A new key behind the last one of its mapping."""
    if mapping.flow_style:
        end = mapping.end_mark.index - 1
        separator = ", " if mapping.value else ""
        return f"{text[:end].rstrip()}{separator}{key}: {to_yaml(nest(rest, value))}{text[end:]}"
    first, last = mapping.value[0][0], mapping.value[-1][1]
    lines = text.splitlines()
    indent, new = " " * first.start_mark.column, nest(rest, value)
    if isinstance(new, dict) and len(new) > 1:
        block = [f"{indent}{key}:", *(f"{indent}  {inner}: {to_yaml(one)}" for inner, one in new.items())]
    else:
        block = [f"{indent}{key}: {to_yaml(new)}"]
    at = last_line(last) + 1
    lines[at:at] = block
    return "\n".join(lines) + "\n"


def replace(text: str, node: yaml.Node, new: str) -> str:
    """A value in its old one's place."""
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        lines = text.splitlines(keepends=True)
        end = len("".join(lines[:last_line(node) + 1]).rstrip("\n"))
        key_end = text.rindex(":", 0, start) + 1
        return f"{text[:key_end]} {new}{text[end:]}"
    return f"{text[:start]}{'' if text[start - 1].isspace() else ' '}{new}{text[end:]}"


def remove(text: str, key: yaml.Node, node: yaml.Node) -> str:
    """The text without the lines of a key in block style."""
    lines = text.splitlines(keepends=True)
    del lines[key.start_mark.line:last_line(node) + 1]
    return "".join(lines)


def last_line(node: yaml.Node) -> int:
    """The last line that belongs to a value: the end of a block collection is the beginning of what follows it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return last_line(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.line
