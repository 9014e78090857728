"""The script of opensips.cfg, statement by statement, into the tree."""

import re

from .formats import read_format, read_variable
from .patterns import compiled
from .tokens import ConfigError, Token, unquote
from .tree import (
    Assignment,
    Binary,
    Call,
    Constant,
    Each,
    Expression,
    Format,
    If,
    Leave,
    Statement,
    Switch,
    Unary,
    Value,
    Variable,
    While,
)

ASSIGNS = ("=", ":=", "+=", "-=", "*=", "/=", "%=")
LEVELS = (
    ("||", "or"),
    ("&&", "and"),
    ("==", "!=", "=~", "!~", ">=", "<=", "<", ">"),
    ("+", "-", "|", "&", "^", "<<", ">>"),
    ("*", "/", "%"),
)
"""Signs from the loosest to the tightest."""


class StatementReader:
    """Reads statements out of the pieces of a file."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0

    def note_call(self, call: Call, texts: tuple[str, ...]) -> None:
        """Told of every call, with its arguments as they stand in the file."""

    @property
    def next(self) -> Token:
        """The piece that comes next."""
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
        if self.next.text == text and self.next.kind != "text":
            self.place += 1
            return True
        return False

    def string(self) -> str:
        """A text in quotes, without them."""
        return unquote(self.take("text"))

    def block(self) -> tuple[Statement, ...]:
        """`{ statements }`."""
        self.take("{")
        statements: list[Statement] = []
        while not self.accept("}"):
            statements += self.statement()
        return tuple(statements)

    def statement(self) -> tuple[Statement, ...]:
        """One statement, or those of a block."""
        token = self.next
        if token.text == "{":
            return self.block()
        if self.accept(";"):
            return ()
        if self.accept("if"):
            return (self.condition(token.line),)
        if self.accept("while"):
            return (While(self.bracketed(), self.statement(), token.line),)
        if self.accept("for"):
            return (self.each(token.line),)
        if self.accept("switch"):
            return (self.switch(token.line),)
        if token.text in ("exit", "return", "drop", "break") and token.kind == "word":
            return (self.leave(),)
        if token.kind == "variable":
            return (self.assignment(),)
        call = self.call()
        self.take(";")
        return (call,)

    def bracketed(self) -> Expression:
        """`( expression )`."""
        self.take("(")
        found = self.expression()
        self.take(")")
        return found

    def condition(self, line: int) -> If:
        """After `if`."""
        asked, then = self.bracketed(), self.statement()
        return If(asked, then, self.statement() if self.accept("else") else (), line)

    def each(self, line: int) -> Each:
        """After `for`."""
        self.take("(")
        target = self.variable()
        self.take("in")
        source = self.variable()
        self.take(")")
        return Each(target, source, self.statement(), line)

    def switch(self, line: int) -> Switch:
        """After `switch`."""
        subject = self.bracketed()
        self.take("{")
        cases: list[tuple[Value, tuple[Statement, ...]]] = []
        default: tuple[Statement, ...] = ()
        while not self.accept("}"):
            value: Value = None
            if is_default := self.accept("default"):
                pass
            else:
                self.take("case")
                sign = -1 if self.accept("-") else 1
                value = sign * int(self.take().text) if self.next.kind == "number" else self.string()
            self.take(":")
            body: list[Statement] = []
            while self.next.text not in ("case", "default", "}"):
                body += self.statement()
            if is_default:
                default = tuple(body)
            else:
                cases.append((value, tuple(body)))
        return Switch(subject, tuple(cases), default, line)

    def leave(self) -> Leave:
        """`exit`, `return`, `drop` or `break`, some with a code."""
        token, code = self.take(), None
        if self.accept("("):
            if not self.accept(")"):
                code = self.expression()
                self.take(")")
        elif self.next.text != ";":
            code = self.expression()
        self.take(";")
        return Leave(token.text, code, token.line)

    def assignment(self) -> Assignment:
        """`$x = expression;`."""
        token = self.next
        target = self.variable()
        sign = self.take().text
        if sign not in ASSIGNS:
            raise ConfigError(f"line {token.line}: {token.text} stands alone")
        found = Assignment(target, sign, self.expression(), token.line)
        self.take(";")
        return found

    def expression(self, level: int = 0) -> Expression:
        """Operands with signs between them, by their binding."""
        if level == len(LEVELS):
            return self.operand()
        left = self.expression(level + 1)
        while self.next.text in LEVELS[level] and self.next.kind in ("sign", "word"):
            sign = self.take()
            right = self.expression(level + 1)
            if sign.text in ("=~", "!~") and isinstance(right, Constant):
                check_pattern(str(right.value), sign.line)
            left = Binary({"or": "||", "and": "&&"}.get(sign.text, sign.text), left, right, sign.line)
        return left

    def operand(self) -> Expression:
        """A text, a number, a variable, NULL, a call, or one of these with a sign before it."""
        token = self.next
        if token.text in ("!", "-", "~", "not") and token.kind in ("sign", "word"):
            self.take()
            return Unary("!" if token.text == "not" else token.text, self.operand())
        if token.text == "(" and token.kind == "sign":
            return self.bracketed()
        if token.kind == "variable":
            return self.variable()
        if token.kind == "text":
            return Constant(unquote(self.take()))
        if token.kind == "number":
            return self.number_or_network()
        if token.text in ("NULL", "null"):
            self.take()
            return Constant(None)
        return self.call()

    def number_or_network(self) -> Constant:
        """A number, or an address with or without its prefix length."""
        first = self.take().text
        if self.next.text != ".":
            return Constant(int(first))
        while self.next.text in (".", "/") or self.next.kind == "number":
            first += self.take().text
        return Constant(first)

    def call(self) -> Call:
        """`name(arguments)`; an argument may be left empty."""
        token = self.take("word")
        self.take("(")
        arguments: list[Format | Expression | None] = []
        texts: list[str] = []
        while not self.accept(")"):
            if arguments:
                self.take(",")
            start = self.place
            if self.next.text in (",", ")") and self.next.kind == "sign":
                arguments.append(None)
            elif self.next.kind == "word" and self.tokens[self.place + 1].text in (",", ")"):
                arguments.append(Format(self.next.text, (self.take().text,)))
            elif self.next.kind == "text":
                text = self.take()
                arguments.append(read_format(unquote(text), text.line))
            else:
                arguments.append(self.expression())
            pieces = self.tokens[start : self.place]
            texts.append(unquote(pieces[0]) if len(pieces) == 1 and pieces[0].kind == "text" else "".join(p.text for p in pieces))
        found = Call(token.text, tuple(arguments), token.line)
        self.note_call(found, tuple(texts))
        return found

    def variable(self) -> Variable:
        """A pseudo-variable that exists."""
        token = self.take("variable")
        return read_variable(token.text, token.line)


def check_pattern(text: str, line: int) -> None:
    """A regular expression that can be read."""
    try:
        compiled(text)
    except re.error as error:
        raise ConfigError(f"line {line}: {text}: {error}") from error
