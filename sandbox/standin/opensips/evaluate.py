"""Runs the script: statements, expressions and functions as the core does."""

from __future__ import annotations

import ipaddress
import re

from . import words
from .assignments import calculate, set_variable
from .context import FUNCTIONS, Context
from .patterns import compiled
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
from .variables import get_plain, get_variable, print_format


class Ended(Exception):
    """`exit`, `drop` or a function's 0: nothing of the script runs any more."""

    def __init__(self, dropped: bool = False) -> None:
        super().__init__()
        self.dropped = dropped


class Returned(Exception):
    """`return` out of a route."""


class Broken(Exception):
    """`break` out of a loop or a switch."""


def run_route(context: Context, kind: str, name: str) -> bool:
    """A top route; False when it ended with `drop`."""
    block = context.core.config.routes.blocks.get((kind, name))
    if block is None:
        return True
    try:
        run_block(context, block)
    except Ended as end:
        return not end.dropped
    except Returned:
        return True
    except Broken:
        return True
    return True


def run_block(context: Context, block: tuple[Statement, ...]) -> None:
    """Statements one after another."""
    for statement in block:
        run_statement(context, statement)


def run_statement(context: Context, statement: Statement) -> None:
    """One statement."""
    if isinstance(statement, Call):
        call(context, statement)
    elif isinstance(statement, If):
        run_block(context, statement.then if is_true(context, statement.condition) else statement.otherwise)
    elif isinstance(statement, Assignment):
        assign(context, statement)
    elif isinstance(statement, Leave):
        leave(context, statement)
    elif isinstance(statement, Switch):
        switch(context, statement)
    else:
        loop(context, statement)


def assign(context: Context, statement: Assignment) -> None:
    """An assignment; a condition's value is 1 or 0, a function's its code."""
    value = evaluate(context, statement.value)
    if not set_variable(context, statement.target, statement.sign, value):
        context.say(f"ERROR:core:do_assign: {statement.target.text} cannot be written")


def leave(context: Context, statement: Leave) -> None:
    """Ends a route or the script."""
    if statement.word == "break":
        raise Broken
    if statement.word in ("exit", "drop"):
        raise Ended(statement.word == "drop")
    code = evaluate(context, statement.code) if statement.code is not None else 1
    context.retcode = code if isinstance(code, int) else 1
    if context.retcode == 0:
        raise Ended
    raise Returned


def switch(context: Context, statement: Switch) -> None:
    """Runs from the case that fits up to a `break`."""
    value = evaluate(context, statement.subject)
    fits = [place for place, (wanted, _) in enumerate(statement.cases) if equal(value, wanted)]
    blocks = [block for _, block in statement.cases[fits[0] :]] if fits else []
    try:
        for block in (*blocks, statement.default):
            run_block(context, block)
    except Broken:
        return


def loop(context: Context, statement: While | Each) -> None:
    """`while` and `for`."""
    try:
        if isinstance(statement, Each):
            argument = print_format(context, statement.source.argument) if statement.source.argument else ""
            values = (
                list(context.avps.get(argument, []))
                if statement.source.name == "avp"
                else [
                    get_plain(context, statement.source.name, argument, str(place))
                    for place in range(len(context.current.places(argument.lower())))
                ]
            )
            for value in values:
                set_variable(context, statement.target, "=", value)
                run_block(context, statement.body)
            return
        for _ in range(int(context.core.config.setting("max_while_loops"))):
            if not is_true(context, statement.condition):
                return
            run_block(context, statement.body)
    except Broken:
        return


def is_true(context: Context, expression: Expression) -> bool:
    """A condition."""
    if isinstance(expression, Constant | Variable):
        value = evaluate(context, expression)
        return bool(value) and value is not None
    value = evaluate(context, expression)
    if isinstance(expression, Call):
        return isinstance(value, int) and value > 0
    return bool(value) and value != -1


def evaluate(context: Context, expression: Expression) -> Value:
    """The value of an expression; texts stand as they are written, unlike those of functions."""
    if isinstance(expression, Constant):
        return expression.value
    if isinstance(expression, Variable):
        return get_variable(context, expression)
    if isinstance(expression, Call):
        return call(context, expression)
    if isinstance(expression, Unary):
        if expression.sign == "!":
            return 0 if is_true(context, expression.operand) else 1
        value = evaluate(context, expression.operand)
        number = value if isinstance(value, int) else 0
        return -number if expression.sign == "-" else ~number
    if expression.sign == "&&":
        return int(is_true(context, expression.left) and is_true(context, expression.right))
    if expression.sign == "||":
        return int(is_true(context, expression.left) or is_true(context, expression.right))
    left, right = evaluate(context, expression.left), evaluate(context, expression.right)
    if expression.sign in ("==", "!=", "=~", "!~", "<", ">", "<=", ">="):
        return compare(context, expression, left, right)
    return calculate(expression.sign, left, right)


def equal(left: Value, right: Value) -> bool:
    """A number equals its text; texts are compared without case, as the core's comparison does."""
    if left is None or right is None:
        return left is right
    if isinstance(left, int) and isinstance(right, int):
        return left == right
    return str(left).lower() == str(right).lower()


def compare(context: Context, expression: Binary, left: Value, right: Value) -> int:
    """A comparison: 1, 0, or -1 when the operands do not fit (which is not true either)."""
    sign = expression.sign
    is_network = isinstance(right, str) and isinstance(expression.right, Constant) and re.fullmatch(r"[0-9.]+/\d+", right)
    if left is None or right is None:
        both = left is None and right is None
        return int(both if sign in ("==", "=~") else not both if sign in ("!=", "!~") else False)
    if sign in ("=~", "!~"):
        # The C library sees nothing behind a zero byte.
        matched = compiled(str(right)).search(str(left).partition("\0")[0]) is not None
        return int(matched == (sign == "=~"))
    if is_network:
        inside = ipaddress.ip_address(str(left)) in ipaddress.ip_network(str(right), strict=False)
        return int(inside == (sign == "=="))
    if isinstance(left, str) and isinstance(right, int) and not isinstance(expression.right, Variable):
        context.say(f"WARNING:core:comp_scriptvar: invalid {sign} operation: a string and an integer (line {expression.line})")
        return -1
    if sign in ("==", "!="):
        return int(equal(left, right) == (sign == "=="))
    first, second = (left, right) if isinstance(left, int) and isinstance(right, int) else (str(left).lower(), str(right).lower())
    if isinstance(first, int) and isinstance(second, int):
        order = (first > second) - (first < second)
    else:
        order = (str(first) > str(second)) - (str(first) < str(second))
    return int({"<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}[sign])


def call(context: Context, statement: Call) -> int:
    """A function or a route; 0 ends the script."""
    if statement.name == "route":
        code = call_route(context, statement)
    else:
        handler = FUNCTIONS.get(statement.name)
        if handler is None:
            context.say(f"CRITICAL: the stand-in does not know {statement.name} (line {statement.line})")
            raise Ended
        kinds = find_kinds(context, statement.name)
        values = [prepare(context, given, kind) for given, kind in zip(statement.arguments, kinds, strict=False)]
        code = handler(context, *values, *([None] * (len(kinds) - len(values))))
    context.retcode = code
    if code == 0:
        raise Ended
    return code


def find_kinds(context: Context, name: str) -> tuple[str, ...]:
    """The kinds of a function's arguments, from the module that is loaded."""
    table = words.read_table()
    return next(
        module.functions[name].kinds
        for owner, module in table.items()
        if name in module.functions and (owner == "core" or owner in context.core.config.modules)
    )


def prepare(context: Context, given: Format | Expression | None, kind: str) -> object:
    """An argument as its function takes it."""
    if given is None or kind == "var":
        return given
    if kind in ("regex", "raw"):
        return given.text if isinstance(given, Format) else str(evaluate(context, given) or "")
    if isinstance(given, Format):
        value: Value = print_format(context, given)
    else:
        value = evaluate(context, given)
    if kind == "int":
        return int(value) if value is not None and re.fullmatch(r"-?\d+", str(value)) else 0
    return None if value is None else str(value)


def call_route(context: Context, statement: Call) -> int:
    """`route(name, parameters...)`: its code is what it returned, else that of its last function."""
    name = prepare(context, statement.arguments[0], "str")
    given: dict[str, Value] = {}
    for place, argument in enumerate(statement.arguments[1:], 1):
        given[str(place)] = (
            print_format(context, argument)
            if isinstance(argument, Format)
            else (evaluate(context, argument) if argument is not None else None)
        )
    context.parameters.append(given)
    context.retcode = 1
    try:
        run_block(context, context.core.config.routes.blocks["route", str(name)])
        context.retcode = 1
    except Returned:
        pass
    finally:
        context.parameters.pop()
    return context.retcode
