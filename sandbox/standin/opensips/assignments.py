"""What assigning to a pseudo-variable does."""

from __future__ import annotations

from .context import Context
from .message import Message
from .tree import Value, Variable
from .uri import parse_uri
from .variables import get_variable, print_format


def set_variable(context: Context, variable: Variable, sign: str, value: Value) -> bool:
    """Assigns; False for a variable that cannot be written, as at the start of the real program."""
    name = variable.name
    argument = print_format(context, variable.argument) if variable.argument else ""
    if sign not in ("=", ":="):
        old = get_variable(context, variable)
        value = calculate(sign[0], old, value)
    if name in ("avp", "bavp"):
        values = context.avps.setdefault(argument, [])
        if value is None:
            del values[: None if sign == ":=" else 1]
        elif sign == ":=":
            values[:] = [value]
        elif variable.index:
            place = int(print_format(context, variable.index))
            if place < len(values):
                values[place] = value
        else:
            values.insert(0, value)
        return True
    if name == "var":
        context.core.script_variables()[argument] = value
    elif name == "shv":
        context.core.shared[argument] = value
    elif name == "dlg_val":
        context.core.dialogs.set_value(context, argument, value)
    elif name == "ru":
        context.message.new_uri = str(value or "")
    elif name in ("rU", "rd", "rp"):
        set_uri_part(context.message, name, value)
    elif name == "du":
        context.message.destination = str(value or "")
    elif name == "socket_out":
        context.message.socket = context.core.find_socket(str(value))
    elif name in ("T_fr_timeout", "T_fr_inv_timeout"):
        held = context.transaction.timeouts if context.transaction else context.timeouts
        held[name[2:]] = int(value or 0)
    else:
        return False
    return True


def set_uri_part(message: Message, name: str, value: Value) -> None:
    """Another user, host or port in the request's URI."""
    uri = parse_uri(message.target)
    if uri is None:
        return
    user, host, port = uri.user, uri.host, uri.port
    if name == "rU":
        user = str(value or "")
    elif name == "rd":
        host = str(value or "")
    else:
        port = int(value or 0)
    tail = "".join(f";{key}={said}" if said else f";{key}" for key, said in uri.parameters.items())
    message.new_uri = f"{uri.scheme}:{user + '@' if user else ''}{host}{f':{port}' if port else ''}{tail}{uri.headers}"


def calculate(sign: str, left: Value, right: Value) -> Value:
    """Arithmetic, or a text after another; None where the operands do not fit, as the real one logs and gives nothing."""
    if isinstance(left, int):
        if not isinstance(right, int | None):
            return None
        second = right or 0
        if sign in "/%" and second == 0:
            return None
        return {
            "+": left + second,
            "-": left - second,
            "*": left * second,
            "/": left // (second or 1),
            "%": left % (second or 1),
            "|": left | second,
            "&": left & second,
            "^": left ^ second,
        }[sign]
    if sign == "+" and left is not None:
        return f"{left}{'' if right is None else right}"
    return None
