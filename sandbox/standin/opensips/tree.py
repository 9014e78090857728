"""The tree of a script: what `reader.py` makes of opensips.cfg and `evaluate.py` runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Value: TypeAlias = int | str | None
"""What a pseudo-variable holds; a number has its text, too."""


@dataclass(frozen=True)
class Variable:
    """A pseudo-variable: `$(name(argument)[index]{transformations})`; an argument may hold variables."""

    text: str
    name: str
    argument: Format | None = None
    index: Format | None = None
    transformations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A text with variables in it."""

    text: str
    parts: tuple[str | Variable, ...]


@dataclass(frozen=True)
class Constant:
    """A text or a number as it stands there, or NULL."""

    value: Value


@dataclass(frozen=True)
class Call:
    """A function with its arguments; `line` is where it stands."""

    name: str
    arguments: tuple[Format | Expression | None, ...]
    line: int


@dataclass(frozen=True)
class Unary:
    """`!` or `-` or `~`."""

    sign: str
    operand: Expression


@dataclass(frozen=True)
class Binary:
    """Two operands with a sign between them."""

    sign: str
    left: Expression
    right: Expression
    line: int


Expression: TypeAlias = Constant | Variable | Call | Unary | Binary


@dataclass(frozen=True)
class Assignment:
    """`$var(x) = expression;`, with `=`, `:=`, `+=` and their like."""

    target: Variable
    sign: str
    value: Expression
    line: int


@dataclass(frozen=True)
class If:
    """A condition and its two ways."""

    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    line: int


@dataclass(frozen=True)
class While:
    """A loop; the core ends it after `max_while_loops` rounds."""

    condition: Expression
    body: tuple[Statement, ...]
    line: int


@dataclass(frozen=True)
class Each:
    """`for ($var(x) in $(avp(y)[*])) ...`."""

    target: Variable
    source: Variable
    body: tuple[Statement, ...]
    line: int


@dataclass(frozen=True)
class Switch:
    """A variable and the statements of each case, which run on until a `break`."""

    subject: Expression
    cases: tuple[tuple[Value, tuple[Statement, ...]], ...]
    default: tuple[Statement, ...]
    line: int


@dataclass(frozen=True)
class Leave:
    """`exit`, `drop`, `break` or `return` with its code."""

    word: str
    code: Expression | None
    line: int


Statement: TypeAlias = Assignment | If | While | Each | Switch | Leave | Call


@dataclass
class Routes:
    """Every block of the script by kind and name."""

    blocks: dict[tuple[str, str], tuple[Statement, ...]] = field(default_factory=dict)
