"""A strict reader of opensips.cfg: what the real one refuses is refused, what it takes becomes a tree."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import words
from .formats import read_format, read_variable
from .statements import StatementReader
from .tokens import ConfigError, Token, read_tokens, unquote
from .tree import Call, Routes


class Socket(NamedTuple):
    """A `socket =` line; `advertised` is empty and `advertised_port` 0 without `as`."""

    protocol: str
    address: str
    port: int
    advertised: str = ""
    advertised_port: int = 0


class NamedCall(NamedTuple):
    """A function called in a route, with its arguments as they stand there (texts without quotes)."""

    name: str
    arguments: tuple[str, ...]
    route: str
    kind: str
    line: int


class Config:
    """What a file says: `settings` of the core, `sockets`, `parameters` by (module, name), routes and calls."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.sockets: list[Socket] = []
        self.modules: list[str] = []
        self.parameters: dict[tuple[str, str], list[str | int]] = {}
        self.routes = Routes()
        self.calls: list[NamedCall] = []

    def setting(self, name: str) -> str:
        """A setting of the core: the file's, or the core's own default."""
        return self.settings.get(name, words.CORE_SETTINGS[name][1])

    def parameter(self, module: str, name: str) -> str | int:
        """The last value of a parameter, or the real program's default."""
        given = self.parameters.get((module, name))
        if given:
            return given[-1]
        known = words.read_table()[module].parameters[name]
        return int(known.default or 0) if known.kind == "int" else known.default

    def number(self, module: str, name: str) -> int:
        """A parameter that is a number."""
        return int(self.parameter(module, name))

    def text(self, module: str, name: str) -> str:
        """A parameter that is a text."""
        return str(self.parameter(module, name))

    def calls_of(self, name: str) -> list[NamedCall]:
        """Every call of a function."""
        return [call for call in self.calls if call.name == name]


class Reader(StatementReader):
    """Recursive descent over the pieces."""

    def __init__(self, text: str, include: Callable[[str], str]) -> None:
        super().__init__(read_tokens(text))
        self.include = include
        self.config = Config()
        self.route = self.kind = ""

    def read(self) -> Config:
        """The whole file."""
        while self.next.kind != "end":
            token = self.take("word")
            if token.text == "loadmodule":
                self.load_module(token)
            elif token.text == "modparam":
                self.set_parameter(token)
            elif token.text == "socket":
                self.open_socket(token)
            elif token.text == "include_file":
                included = self.read_included()
                self.tokens[self.place : self.place] = included
            elif token.text in words.ROUTE_KINDS:
                self.read_route(token)
            elif token.text in words.CORE_SETTINGS:
                self.set_core(token)
            else:
                raise ConfigError(f"line {token.line}: OpenSIPS knows no core setting {token.text}")
        return self.config

    def read_included(self) -> list[Token]:
        """The pieces of a file that is included."""
        path = self.string()
        try:
            return read_tokens(self.include(path))[:-1]
        except OSError as error:
            raise ConfigError(f"include_file {path}: {error.strerror}") from error

    def load_module(self, token: Token) -> None:
        """`loadmodule "name.so"`."""
        name = self.string().removesuffix(".so")
        if name not in words.read_table() or name == "core":
            raise ConfigError(f"line {token.line}: no module {name} in the packages of the catalogue")
        if "mpath" not in self.config.settings:
            raise ConfigError(f"line {token.line}: mpath must stand before loadmodule")
        self.config.modules.append(name)

    def set_parameter(self, token: Token) -> None:
        """`modparam("module", "name", value)`."""
        self.take("(")
        module = self.string()
        self.take(",")
        name = self.string()
        self.take(",")
        sign = -1 if self.accept("-") else 1
        value: str | int = sign * int(self.take().text) if self.next.kind == "number" else self.string()
        self.take(")")
        if module not in self.config.modules:
            raise ConfigError(f"line {token.line}: modparam of {module}, which is not loaded above")
        known = words.read_table()[module].parameters.get(name)
        if known is None:
            raise ConfigError(f"line {token.line}: module {module} has no parameter {name}")
        if (known.kind == "int") != isinstance(value, int):
            raise ConfigError(f"line {token.line}: {module}.{name} is a {'number' if known.kind == 'int' else 'text'}")
        self.config.parameters.setdefault((module, name), []).append(value)

    def open_socket(self, token: Token) -> None:
        """`socket = protocol:address:port [as address[:port]]`, read from the line: an address is no word."""
        pieces = []
        self.take("=")
        while self.next.line == token.line and self.next.kind != "end":
            pieces.append(self.take().text)
        match = re.fullmatch(r"([a-z_]+):([0-9.]+|\*):(\d+)(?:as([0-9.]+)(?::(\d+))?)?", "".join(pieces))
        if match is None:
            raise ConfigError(f"line {token.line}: socket = {' '.join(pieces)}, expected udp:10.0.0.1:5060 [as 192.0.2.1]")
        if match[1] not in words.SOCKET_PROTOCOLS:
            raise ConfigError(f"line {token.line}: no protocol {match[1]}")
        self.config.sockets.append(Socket(match[1], match[2], int(match[3]), match[4] or "", int(match[5] or 0)))

    def set_core(self, token: Token) -> None:
        """`name = value`."""
        self.take("=")
        value = self.take()
        if value.kind != words.CORE_SETTINGS[token.text][0]:
            raise ConfigError(f"line {token.line}: {token.text} = {value.text}: wrong kind of value")
        self.config.settings[token.text] = unquote(value) if value.kind == "text" else value.text

    def read_route(self, token: Token) -> None:
        """A route with its block."""
        name = ""
        if self.accept("["):
            name = self.take().text.strip('"')
            while not self.accept("]"):
                name += self.take().text
        if (token.text, name) in self.config.routes.blocks:
            raise ConfigError(f"line {token.line}: {token.text}[{name}] twice")
        self.route = f"{token.text}[{name}]" if name else token.text
        self.kind = token.text
        self.config.routes.blocks[token.text, name] = self.block()

    def note_call(self, call: Call, texts: tuple[str, ...]) -> None:
        """Remembers a call for the checks."""
        self.config.calls.append(NamedCall(call.name, texts, self.route, self.kind, call.line))


def read_file(path: str) -> str:
    """A file that is included."""
    return Path(path).read_text()


def check_parameter_variables(config: Config) -> None:
    """A parameter that names a pseudo-variable must be one."""
    for (module, name), values in config.parameters.items():
        if name.endswith(("_avp", "_pv", "_spec")):
            for value in values:
                read_variable(str(value), 0)
        elif "{" in name:
            read_format(str(values[-1]), 0)
        del module
