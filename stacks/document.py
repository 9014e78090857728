"""The only reader of stack files: what the engine would read in one, or a problem where readers of YAML differ.

The engine has a YAML reader of its own, in Go. To it `010` is 8 and `2026-11-28` a point in time; a key that stands twice ends
its run. Such a text is refused here with the line it stands in, so that `plan` never shows what `up` would not do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from components.model.problems import Problem
from stacks.problems import SettingsError
from stacks.text import UnreadableError, decode, explain, find_crowded

MAX_VALUES = 10_000
"""Of a stack file, with every value counted as often as aliases repeat it; a long list of networks has hundreds."""

STRING_TAG = "tag:yaml.org,2002:str"
MERGE_TAG = "tag:yaml.org,2002:merge"

NULL = frozenset(("", "~", "null", "Null", "NULL"))
BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
NUMBER = re.compile(r"0|-?[1-9]\d{0,17}")
"""What every reader takes for the same number, and the engine hands on as it is written."""

MAX_DIGITS = 18
"""More do not fit the engine's numbers."""

OTHER_NUMBER = re.compile(r"[-+]?(\d[\d_]*|0[xX][\da-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+)")
FRACTION = re.compile(r"[-+]?(\.[\d_]+|\d[\d_]*(\.[\d_]*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([Tt ].*)?")


class DocumentError(SettingsError):
    """A stack file that cannot be read at all."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__([Problem(f"stacks/{path.name}", "", message)])

    def __str__(self) -> str:
        return str(self.problems[0])


def read_config(path: Path) -> tuple[dict[str, Any], list[Problem]]:
    """Read what stands under `config:`, every scalar as the text that the engine hands to the program, "" for none.

    Raises DocumentError where the file is none that the engine could read.
    """
    root = compose(path)
    if root is None:
        return {}, [Problem("config", "", "is missing: the settings stand below it, each as webitel:NAME: VALUE")]
    if not isinstance(root, yaml.MappingNode):
        raise DocumentError(
            path, "is not a map of settings; begin with `config:` and set webitel:cloud and webitel:tier below it"
        )
    reader = Reader(path)
    reader.check_nesting(root)
    problems: list[Problem] = []
    config: yaml.Node | None = None
    for key, node in root.value:
        if key.value == "config":
            config = node
        elif str(key.value).lower() == "config":
            problems.append(
                Problem(key.value, "", f"nothing reads what stands below it; write it below `config:` (line {line_of(key)})")
            )
        elif ":" in key.value:
            problems.append(Problem(key.value, "", f"stands beside `config:`; indent it below (line {line_of(key)})"))
    problems += find_twice(root, "")
    if config is None or (isinstance(config, yaml.ScalarNode) and config.value in NULL):
        problems.append(Problem("config", "", "is missing: the settings stand below it, each as webitel:NAME: VALUE"))
        return {}, problems
    if not isinstance(config, yaml.MappingNode):
        if crowded := find_crowded(str(config.value)):
            raise DocumentError(path, f"is not YAML: line {line_of(config)}, {crowded}")
        raise DocumentError(path, "has no map of settings under `config:`; write webitel:cloud: hetzner, for example, below it")
    values = reader.read(config, "")
    return values, [*problems, *reader.problems]


def compose(path: Path) -> yaml.Node | None:
    """Parse a stack file into nodes that know their lines; None where it is empty."""
    try:
        text = decode(path.read_bytes())
    except OSError as error:
        raise DocumentError(path, f"cannot be read: {error.strerror or error}") from error
    except UnreadableError as error:
        raise DocumentError(path, str(error)) from error
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise DocumentError(path, f"is not YAML: {explain_mark(text, error)}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentError(path, f"is not YAML: {' '.join(str(error).split())}") from error
    return node


def explain_mark(text: str, error: yaml.MarkedYAMLError) -> str:
    """Say what is wrong with a text that is no YAML, and where."""
    if error.problem_mark is None:
        return str(error.problem or error.context)
    line = int(error.problem_mark.line)
    begun = int(error.context_mark.line) if error.context_mark else line
    return explain(text, line, str(error.problem or error.context), str(error.context or ""), begun)


class Reader:
    """Turns nodes into values and notes what is wrong with them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.resolve: Callable[[type[yaml.Node], str, tuple[bool, bool]], str] = yaml.SafeLoader("").resolve

    def check_nesting(self, root: yaml.Node) -> None:
        """Refuse values that contain themselves, or that aliases blow up. Raises DocumentError."""
        count = 0
        stack: list[tuple[yaml.Node, frozenset[int]]] = [(root, frozenset())]
        while stack:
            node, above = stack.pop()
            count += 1
            if id(node) in above:
                raise DocumentError(self.path, f"line {line_of(node)}: a value contains itself; write it without an alias")
            if count > MAX_VALUES:
                raise DocumentError(self.path, f"has more than {MAX_VALUES} values; write it without aliases")
            if isinstance(node, yaml.CollectionNode):
                parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
                stack += [(part, above | {id(node)}) for part in parts]

    def read(self, node: yaml.Node, where: str) -> Any:
        """Read a value; `where` is the setting it belongs to, "" for all of them."""
        if isinstance(node, yaml.MappingNode):
            self.problems += find_twice(node, where)
            pairs = {}
            for key, value in node.value:
                name = f"{where}.{key.value}" if where else str(key.value)
                if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE_TAG:
                    self.problems.append(
                        Problem(
                            where or "config",
                            str(key.value),
                            f"line {line_of(key)}: a value without a name; give every value its own",
                        )
                    )
                else:
                    if key.style is None and (why := explain_text(str(key.value))):
                        self.problems.append(Problem(name, "", f"the name {why} (line {line_of(key)})"))
                    pairs[key.value] = self.read(value, name)
            return pairs
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, where) for item in node.value]
        return self.read_scalar(node, where)

    def read_scalar(self, node: yaml.Node, where: str) -> str:
        """Read a text as the engine would hand it on."""
        text = str(node.value)
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        if node.tag != self.resolve(yaml.ScalarNode, text, (plain, not plain)):
            if node.tag != STRING_TAG:
                self.problems.append(Problem(where, text, f"has the tag {node.tag.rpartition(':')[2]}; write the value alone"))
            return text
        if not plain:
            return text
        if text in NULL:
            return ""
        if BOOLEAN.fullmatch(text):
            return text.lower()
        if why := explain_text(text):
            self.problems.append(Problem(where, text, why))
        return text


def explain_text(text: str) -> str:
    """Say what the engine would make of a text without quotes, and what to write; "" where it stays what it is."""
    if NUMBER.fullmatch(text):
        return ""
    if OTHER_NUMBER.fullmatch(text):
        number = text.replace("_", "").lstrip("+")
        digits = number.removeprefix("-")
        meant = f"{int(number)}, or " if digits.isdecimal() and len(digits) < MAX_DIGITS else ""
        return f'is a different number to the engine: write {meant}in quotes "{text}"'
    if FRACTION.fullmatch(text):
        return f'is a fraction to YAML: write it in quotes, "{text}"'
    if DATE.fullmatch(text):
        return f'is a point in time to YAML: write it in quotes, "{text}"'
    return ""


def find_twice(mapping: yaml.MappingNode, where: str) -> Iterator[Problem]:
    """Find the keys of a map that stand in it more than once, with their lines."""
    lines: dict[str, list[int]] = {}
    for key, _ in mapping.value:
        if isinstance(key, yaml.ScalarNode):
            lines.setdefault(str(key.value), []).append(line_of(key))
    for name, found in lines.items():
        if len(found) > 1:
            yield Problem(
                f"{where}.{name}" if where else name,
                "",
                f"stands in lines {', '.join(map(str, found[:-1]))} and {found[-1]}; keep one of them",
            )


def line_of(node: yaml.Node) -> int:
    """Return the line a node begins in, from 1."""
    return int(node.start_mark.line) + 1
