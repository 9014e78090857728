"""Changing a stack file as a careful person would: one value, every comment and every other line as it was."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from stacks.problems import NAMESPACE, to_yaml

Change = tuple[tuple[str, ...], Any]
"""The way to a value below `config` and the new value; None takes it out."""


class Loader(yaml.SafeLoader):
    """Takes a date for the text that it is: an impossible one would be an error of Python's."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class EditError(Exception):
    """The file is laid out in a way that is not understood; the message says what to write by hand."""


def set_setting(path: Path, name: str, value: Any) -> None:
    """Give a setting (`counts.app` is `app` inside `counts`) a value in a stack file; None takes it out."""
    setting, _, inner = name.partition(".")
    keys = (f"{NAMESPACE}:{setting}", *([inner] if inner else []))
    # The file that a link leads to; a new one in its place has its mode and its line ends.
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.new")
    try:
        before = target.read_bytes().decode()
        text = edit_text(before.replace("\r\n", "\n"), (keys, value))
        fresh.write_bytes(text.replace("\n", "\r\n" if "\r\n" in before else "\n").encode())
        shutil.copymode(target, fresh)
        fresh.replace(target)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise EditError(
            f"{target.parent.name}/{target.name} cannot be written: {error.strerror or error}; "
            f"in an editor {describe_change(keys, value)}"
        ) from error


def edit_text(text: str, change: Change) -> str:
    """Return the text with one value changed. An EditError where the result would not be exactly that."""
    keys, value = change
    try:
        wanted = load(text) or {}
        config = wanted["config"] = dict(wanted.get("config") or {})
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise EditError(f"this stack file's layout is not understood; in an editor {describe_change(keys, value)}") from error
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
    except LookupError:
        changed = ""
    if changed and is_same(changed, wanted):
        return changed
    raise EditError(f"this stack file's layout is not understood; in an editor {describe_change(keys, value)}")


def is_same(text: str, wanted: Any) -> bool:
    """Return whether a text reads as these values."""
    try:
        return bool(load(text) == wanted)
    except yaml.YAMLError:
        return False


def load(text: str) -> Any:
    """Read a stack file for a comparison."""
    return yaml.load(text, Loader=Loader)


def describe_change(keys: tuple[str, ...], value: Any) -> str:
    """Say what is to be written, for a person with an editor."""
    return f"remove {' > '.join(keys)}" if value is None else f"set {' > '.join(keys)} {to_yaml(value)}"


def place(text: str, keys: tuple[str, ...], value: Any) -> str:
    """Return the text with the value put in, replaced or taken out where its mapping is written in block or flow style."""
    mapping = find(yaml.compose(text), "config")
    if mapping is None:
        raise LookupError("config")
    for depth, key in enumerate(keys):
        key_node, node = find_pair(mapping, key)
        rest = keys[depth + 1 :]
        if key_node is None or node is None:
            return text if value is None else insert(text, mapping, key, rest, value)
        if not rest:
            return remove(text, key_node, node) if value is None else replace(text, node, to_yaml(value))
        if not isinstance(node, yaml.MappingNode):
            return text if value is None else replace(text, node, to_yaml(nest(rest, value)))
        mapping = node
    raise LookupError(keys)


def find(node: yaml.Node | None, key: str) -> yaml.MappingNode | None:
    """Return the mapping behind a key."""
    found = find_pair(node, key)[1] if isinstance(node, yaml.MappingNode) else None
    return found if isinstance(found, yaml.MappingNode) else None


def find_pair(mapping: yaml.MappingNode, key: str) -> tuple[yaml.Node | None, yaml.Node | None]:
    """Find a key and its value as they stand in the text."""
    return next(((name, value) for name, value in mapping.value if name.value == key), (None, None))


def nest(keys: tuple[str, ...], value: Any) -> Any:
    """Return the value inside one mapping a key."""
    for key in reversed(keys):
        value = {key: value}
    return value


def insert(text: str, mapping: yaml.MappingNode, key: str, rest: tuple[str, ...], value: Any) -> str:
    """Put a new key behind the last one of its mapping."""
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
    """Put a value in its old one's place."""
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        lines = text.splitlines(keepends=True)
        end = len("".join(lines[: last_line(node) + 1]).rstrip("\n"))
        key_end = text.rindex(":", 0, start) + 1
        return f"{text[:key_end]} {new}{text[end:]}"
    return f"{text[:start]}{'' if text[start - 1].isspace() else ' '}{new}{text[end:]}"


def remove(text: str, key: yaml.Node, node: yaml.Node) -> str:
    """Take the lines of a key in block style out of the text."""
    lines = text.splitlines(keepends=True)
    del lines[key.start_mark.line : last_line(node) + 1]
    return "".join(lines)


def last_line(node: yaml.Node) -> int:
    """Return the last line that belongs to a value: the end of a block collection is the beginning of what follows it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return last_line(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.line
