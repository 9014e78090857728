"""A strict reader of opensips.cfg: what the real one refuses, and what it swallows although nothing can work with it."""

import re
from typing import NamedTuple

from . import words
from .tokens import ConfigError, Token, read_tokens


class Socket(NamedTuple):
    """A `socket =` line; `advertised` is empty without `as`."""

    protocol: str
    address: str
    port: int
    advertised: str = ""


class Call(NamedTuple):
    """A function called in a route, with its arguments as they stand there (texts without quotes)."""

    name: str
    arguments: tuple[str, ...]
    route: str
    line: int


class Config:
    """What a file says: `settings` of the core, `sockets`, `parameters` by (module, name), routes and calls."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.sockets: list[Socket] = []
        self.modules: list[str] = []
        self.parameters: dict[tuple[str, str], list[str | int]] = {}
        self.routes: list[tuple[str, str]] = []
        self.calls: list[Call] = []

    def parameter(self, module: str, name: str) -> str | int:
        """The last value of a parameter; a ConfigError names it when it is missing."""
        if (module, name) not in self.parameters:
            raise ConfigError(f'modparam("{module}", "{name}", ...) is missing')
        return self.parameters[module, name][-1]

    def calls_of(self, name: str) -> list[Call]:
        """Every call of a function."""
        return [call for call in self.calls if call.name == name]


class Reader:
    """Recursive descent over the pieces."""

    def __init__(self, text: str) -> None:
        self.tokens = read_tokens(text)
        self.place = 0
        self.config = Config()
        self.route = ""

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def take(self, wanted: str = "") -> Token:
        """The next piece, which must be `wanted` if that is given."""
        token = self.next
        if wanted and token.text != wanted and token.kind != wanted:
            raise ConfigError(f"line {token.line}: expected {wanted}, found {token.text or 'the end of the file'}")
        self.place += 1
        return token

    def accept(self, text: str) -> bool:
        """Takes the next piece if it is that one."""
        if self.next.text == text:
            self.place += 1
            return True
        return False

    def string(self) -> str:
        """A text in quotes, without them."""
        return self.take("text").text[1:-1].replace('\\"', '"')

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
            elif token.text in words.ROUTE_KINDS:
                self.read_route(token)
            elif token.text in words.CORE_SETTINGS:
                self.set_core(token)
            else:
                raise ConfigError(f"line {token.line}: OpenSIPS knows no core setting {token.text}")
        return self.config

    def load_module(self, token: Token) -> None:
        """`loadmodule "name.so"`."""
        name = self.string().removesuffix(".so")
        if name not in words.MODULES:
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
        value: str | int = int(self.take().text) if self.next.kind == "number" else self.string()
        self.take(")")
        if module not in self.config.modules:
            raise ConfigError(f"line {token.line}: modparam of {module}, which is not loaded above")
        kind = words.MODULES[module].parameters.get(name)
        if kind is None:
            raise ConfigError(f"line {token.line}: module {module} has no parameter {name}")
        if (kind == "i") != isinstance(value, int):
            raise ConfigError(f"line {token.line}: {module}.{name} is a {'number' if kind == 'i' else 'text'}")
        self.config.parameters.setdefault((module, name), []).append(value)

    def open_socket(self, token: Token) -> None:
        """`socket = protocol:address:port [as address]`, read from the line: an address is no word."""
        pieces = []
        self.take("=")
        while self.next.line == token.line and self.next.kind != "end":
            pieces.append(self.take().text)
        match = re.fullmatch(r"([a-z_]+):([0-9.]+|\*):(\d+)(?:as([0-9.]+))?", "".join(pieces))
        if match is None:
            raise ConfigError(f"line {token.line}: socket = {' '.join(pieces)}, expected udp:10.0.0.1:5060 [as 192.0.2.1]")
        if match[1] not in words.SOCKET_PROTOCOLS:
            raise ConfigError(f"line {token.line}: no protocol {match[1]}")
        self.config.sockets.append(Socket(match[1], match[2], int(match[3]), match[4] or ""))

    def set_core(self, token: Token) -> None:
        """`name = value`."""
        self.take("=")
        value = self.take()
        kind = {"number": "i", "text": "s", "word": "w"}.get(value.kind, "")
        if kind != words.CORE_SETTINGS[token.text]:
            raise ConfigError(f"line {token.line}: {token.text} = {value.text}: wrong kind of value")
        self.config.settings[token.text] = value.text.strip('"')

    def read_route(self, token: Token) -> None:
        """A route with its block."""
        name = ""
        if self.accept("["):
            name = self.take("word").text
            self.take("]")
        if (token.text, name) in self.config.routes:
            raise ConfigError(f"line {token.line}: {token.text}[{name}] twice")
        self.config.routes.append((token.text, name))
        self.route = f"{token.text}[{name}]" if name else token.text
        self.block()

    def block(self) -> None:
        """`{ statements }`."""
        self.take("{")
        while not self.accept("}"):
            self.statement()

    def statement(self) -> None:
        """One statement."""
        token = self.next
        if token.text == "{":
            self.block()
        elif self.accept("if"):
            self.take("(")
            self.expression()
            self.take(")")
            self.statement()
            if self.accept("else"):
                self.statement()
        elif token.text in words.BODILESS:
            self.take()
            if self.accept("("):
                self.expression()
                self.take(")")
            self.take(";")
        elif token.kind == "variable":
            self.variable()
            if not (self.accept("=") or self.accept(":=")):
                raise ConfigError(f"line {token.line}: {token.text} stands alone")
            self.expression()
            self.take(";")
        else:
            self.call()
            self.take(";")

    def expression(self) -> None:
        """Operands with signs between them."""
        while True:
            while self.accept("!") or self.accept("-"):
                pass
            if self.accept("("):
                self.expression()
                self.take(")")
            else:
                self.operand()
            if self.next.text not in ("==", "!=", "=~", "!~", ">=", "<=", "<", ">", "&&", "||", "+", "-", "*", "/", "%"):
                return
            self.take()

    def operand(self) -> None:
        """A text, a number, a variable, NULL or a call."""
        if self.next.kind == "variable":
            self.variable()
        elif self.next.kind in ("text", "number") or self.next.text == "NULL":
            self.check_text(self.take())
        else:
            self.call()

    def call(self) -> None:
        """`name(arguments)`."""
        token = self.take("word")
        self.take("(")
        arguments: list[str] = []
        while not self.accept(")"):
            if arguments:
                self.take(",")
            start = self.place
            if self.next.kind == "word" and self.tokens[self.place + 1].text in (",", ")"):
                self.take()
            else:
                self.expression()
            arguments.append("".join(piece.text for piece in self.tokens[start:self.place]).strip('"'))
        self.config.calls.append(Call(token.text, tuple(arguments), self.route, token.line))

    def variable(self) -> None:
        """A pseudo-variable that exists."""
        self.check_variable(self.take().text, self.tokens[self.place - 1].line)

    def check_text(self, token: Token) -> None:
        """Variables inside a text; in a regular expression `$` is the end of the line."""
        for name in re.findall(r"\$(?:\([^()]*(?:\([^()]*\))?[^()]*\)|[A-Za-z_]+(?:\([^()]*\))?)", token.text):
            self.check_variable(name, token.line)

    def check_variable(self, name: str, line: int) -> None:
        """Known pseudo-variables only."""
        inner = re.sub(r"\{[^}]*\}", "", name[2:-1] if name.startswith("$(") else name[1:])
        family, _, argument = inner.partition("(")
        if (argument and family in words.VARIABLE_FAMILIES) or (not argument and family in words.VARIABLES):
            return
        raise ConfigError(f"line {line}: no pseudo-variable {name}")
