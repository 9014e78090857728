"""A strict reader of FreeSWITCH's XML: the real one exits 0 on almost every mistake (`facts/calls-observed.md` 5)."""

import re
import xml.etree.ElementTree as ElementTree
from ipaddress import ip_address, ip_network
from pathlib import Path

from . import words

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
    """`parameters` by configuration, `modules` with their `critical`, lists of acl.conf, `variables` and dial plan contexts."""

    def __init__(self, root: ElementTree.Element, variables: dict[str, str]) -> None:
        self.variables = variables
        self.parameters: dict[str, dict[str, str]] = {}
        self.modules: dict[str, bool] = {}
        self.lists: dict[str, list[str]] = {}
        self.contexts: list[str] = []
        self.problems: list[str] = []
        for section in root.findall("section"):
            if section.get("name") == "configuration":
                for element in section.findall("configuration"):
                    self.add_configuration(element)
            elif section.get("name") == "dialplan":
                self.add_dialplan(section)
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
                node.get("cidr", "") for node in network.findall("node") if node.get("type") == "allow"]

    def add_dialplan(self, section: ElementTree.Element) -> None:
        """Contexts, with applications that exist."""
        for context in section.findall("context"):
            self.contexts.append(context.get("name", ""))
            for action in context.iter("action"):
                if action.get("application") not in words.APPLICATIONS:
                    raise ConfigError(f"dial plan: no application {action.get('application')}")

    def value(self, configuration: str, name: str) -> str:
        """A parameter's value."""
        return self.parameters[configuration][name]

    def number(self, configuration: str, name: str) -> int:
        """A parameter's value as a number."""
        text = self.value(configuration, name)
        if not text.isdigit():
            raise ConfigError(f"{configuration}: {name} = {text!r} is no number")
        return int(text)


def read_config(path: Path, hostname: str, modules: Path | None = None) -> Config:
    """The whole configuration, checked; `modules` is the folder with the .so files, None = not looked at."""
    names = dict.fromkeys(words.BUILT_IN, "x") | {"hostname": hostname, "conf_dir": str(path.parent)}
    preprocessor = Preprocessor(names)
    text = preprocessor.read(path)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ConfigError(f"{path} with everything included: {error}") from error
    config = Config(root, preprocessor.variables)
    check(config, modules)
    return config


def check(config: Config, modules: Path | None) -> None:
    """What FreeSWITCH would find out too late, or never."""
    for configuration, names in words.MUST.items():
        for name in names:
            if not config.parameters.get(configuration, {}).get(name):
                raise ConfigError(f"{configuration}: {name} is missing or empty")
    for name in words.VARIABLES_MUST:
        if not config.variables.get(name):
            raise ConfigError(f"$${{{name}}} is missing or empty")
    for name in ("sip-ip", "rtp-ip"):
        check_address(f"sofia.conf: {name}", config.value("sofia.conf", name))
    check_address("grpc.conf: grpc_host", config.value("grpc.conf", "grpc_host"))
    check_address("event_socket.conf: listen-ip", config.value("event_socket.conf", "listen-ip"))
    if config.value("sofia.conf", "context") not in config.contexts:
        raise ConfigError(f"sofia.conf: no context {config.value('sofia.conf', 'context')} in the dial plan")
    allowed = config.lists.get(config.value("event_socket.conf", "apply-inbound-acl"))
    if allowed is None:
        raise ConfigError("event_socket.conf: no such list in acl.conf, everybody would be rejected")
    if not any(ip_address("127.0.0.1") in ip_network(network) for network in allowed):
        raise ConfigError("acl.conf: the list of the event socket lacks 127.0.0.1/32, fs_cli would be locked out")
    if config.number("switch.conf", "rtp-start-port") >= config.number("switch.conf", "rtp-end-port"):
        raise ConfigError("switch.conf: rtp-start-port is not below rtp-end-port")
    for name in words.CORE_MODULES:
        if not config.modules.get(name):
            raise ConfigError(f"modules.conf: {name} is not loaded as critical")
    for name in ("mod_grpc", "mod_amqp"):
        if name not in config.modules:
            raise ConfigError(f"modules.conf: {name} is not loaded")
    if modules is not None:
        check_files(config, modules)


def check_files(config: Config, folder: Path) -> None:
    """A missing critical module ends the start; another one is a line in the log."""
    for name, critical in config.modules.items():
        if (folder / f"{name}.so").exists():
            continue
        if critical:
            raise ConfigError(f"Failed to load critical module '{name}', abort()")
        config.problems.append(f"[CRIT] Error Loading module {folder}/{name}.so")


def check_address(what: str, text: str) -> None:
    """An explicit IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError as error:
        raise ConfigError(f"{what} = {text!r} is no address") from error
    if address.is_unspecified:
        raise ConfigError(f"{what} = {text}: every address of the node")
