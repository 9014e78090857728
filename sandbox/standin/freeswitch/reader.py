"""A strict reader of FreeSWITCH's XML: the real one exits 0 on almost every mistake (`facts/calls-observed.md` 5)."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from . import words
from .dialplan import Dialplan, DialplanError

DIRECTIVE = re.compile(r'<X-PRE-PROCESS\s+cmd="([^"]*)"\s+data="([^"]*)"\s*/>')
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
VARIABLE = re.compile(r"\$\$\{([^}]*)\}")


class ConfigError(Exception):
    """The configuration is refused; the text says where and why."""


class Preprocessor:
    """Includes and `$${...}`, line by line as FreeSWITCH does it."""

    def __init__(self, names: dict[str, str]) -> None:
        self.variables = dict(names)
        self.files: list[Path] = []

    def read(self, path: Path) -> str:
        """The text of a file with everything included and expanded."""
        try:
            text = COMMENT.sub("", path.read_text())
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        self.files.append(path)
        self.check_form(path, text)
        lines = []
        for number, line in enumerate(text.splitlines(), 1):
            match = DIRECTIVE.search(line)
            if match is None:
                if "X-PRE-PROCESS" in line:
                    raise ConfigError(f"{path}:{number}: cannot read {line.strip()}")
                lines.append(self.expand(line, f"{path}:{number}"))
            elif match[1] == "set":
                name, equals, value = match[2].partition("=")
                if not equals:
                    raise ConfigError(f"{path}:{number}: set without a value")
                self.variables[name] = self.expand(value, f"{path}:{number}")
            elif match[1] == "include":
                lines.append(self.include(path, self.expand(match[2], f"{path}:{number}"), number))
            else:
                raise ConfigError(f"{path}:{number}: no command {match[1]}")
        return "\n".join(lines)

    def check_form(self, path: Path, text: str) -> None:
        """Well-formed by itself: the merged text has other line numbers."""
        try:
            ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise ConfigError(f"{path}: {error}") from error

    def include(self, path: Path, pattern: str, number: int) -> str:
        """The included files without their `<include>`."""
        base, glob = (Path("/"), pattern[1:]) if pattern.startswith("/") else (path.parent, pattern)
        found = sorted(base.glob(glob))
        if not found:
            raise ConfigError(f"{path}:{number}: nothing to include at {pattern}")
        return "\n".join(re.sub(r"</?include>|<\?xml[^>]*\?>", "", self.read(file)) for file in found)

    def expand(self, text: str, where: str) -> str:
        """`$${name}` replaced; the real one makes an undefined name empty."""

        def value(match: re.Match[str]) -> str:
            if match[1] not in self.variables:
                raise ConfigError(f"{where}: $${{{match[1]}}} is not defined")
            return self.variables[match[1]]

        return VARIABLE.sub(value, text)


class Config:
    """`parameters` by configuration, `modules` with their `critical`, lists of acl.conf, `variables` and the dial plan.

    `problems` are the lines that the start leaves in FreeSWITCH's log.
    """

    def __init__(self, root: ElementTree.Element, variables: dict[str, str]) -> None:
        self.variables = variables
        self.parameters: dict[str, dict[str, str]] = {}
        self.modules: dict[str, bool] = {}
        self.lists: dict[str, list[str]] = {}
        self.dialplan = Dialplan()
        self.problems: list[str] = []
        for section in root.findall("section"):
            if section.get("name") == "configuration":
                for element in section.findall("configuration"):
                    self.add_configuration(element)
            elif section.get("name") == "dialplan":
                try:
                    self.dialplan.add(section)
                except DialplanError as error:
                    raise ConfigError(str(error)) from error
            else:
                raise ConfigError(f"no section {section.get('name')}")

    def add_configuration(self, element: ElementTree.Element) -> None:
        """One `<configuration>`; a second one of a name would hide the first in FreeSWITCH."""
        name = element.get("name", "")
        if name not in words.PARAMETERS:
            raise ConfigError(f"no configuration {name}")
        if name in self.parameters:
            raise ConfigError(f"{name} stands twice: FreeSWITCH takes only the first")
        values: dict[str, str] = {}
        for param in element.iter("param"):
            key = param.get("name", "")
            if key not in words.PARAMETERS[name]:
                raise ConfigError(f"{name}: no parameter {key}")
            values[key] = param.get("value", "")
        self.parameters[name] = values
        for load in element.iter("load"):
            self.modules[load.get("module", "")] = load.get("critical") == "true"
        for network in element.iter("list"):
            self.lists[network.get("name", "")] = [
                node.get("cidr", "") for node in network.findall("node") if node.get("type") == "allow"
            ]

    def value(self, configuration: str, name: str) -> str:
        """A parameter's value; the real program's default where our file is silent."""
        found = self.parameters.get(configuration, {}).get(name)
        return words.DEFAULTS[configuration][name] if found is None else found

    def number(self, configuration: str, name: str) -> int:
        """A parameter's value as a number."""
        text = self.value(configuration, name)
        if not text.isdigit():
            raise ConfigError(f"{configuration}: {name} = {text!r} is no number")
        return int(text)
