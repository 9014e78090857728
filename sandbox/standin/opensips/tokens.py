"""opensips.cfg in pieces."""

import re
from typing import NamedTuple

TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*|/\*.*?\*/)
  | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<variable>\$(?:\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\)
      | [A-Za-z_.][A-Za-z0-9_.]*(?:\((?:[^()]|\([^()]*\))*\))?))
  | (?P<number>\d+)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>==|!=|=~|!~|>=|<=|&&|\|\||:=|\+=|-=|\*=|/=|%=|<<|>>|[-+*/%<>=!(){}\[\];,.:&|^~])
""",
    re.VERBOSE | re.DOTALL,
)


class ConfigError(Exception):
    """The file is refused; the text says where and why."""


class Token(NamedTuple):
    """A piece of the file: `kind` is text, variable, number, word, sign or end."""

    kind: str
    text: str
    line: int


def read_tokens(text: str) -> list[Token]:
    """The file in pieces; a ConfigError for anything that is none."""
    tokens, place, line = [], 0, 1
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise ConfigError(f"line {line}: cannot read {text[place : place + 20]!r}")
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), match[0], line))
        line += match[0].count("\n")
        place = match.end()
    return [*tokens, Token("end", "", line)]


def unquote(token: Token) -> str:
    """A text without its quotes, its escapes resolved as OpenSIPS' scanner does."""
    inner = token.text[1:-1]
    if token.text[0] == "'":
        return inner
    escapes = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", '"': '"', "\\": "\\"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[0]), inner, flags=re.DOTALL)
