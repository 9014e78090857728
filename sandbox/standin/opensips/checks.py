"""What a file may say word by word and still not work."""

from collections.abc import Mapping

from . import words
from .reader import Config, NamedCall, Reader, check_parameter_variables, read_file
from .tokens import ConfigError


def read_config(text: str, files: Mapping[str, str] | None = None) -> Config:
    """The file and those it includes, fully checked; a ConfigError says the first thing that is wrong.

    `files` are texts by path that are taken instead of the files themselves.
    """
    known = files or {}
    config = Reader(text, lambda path: known[path] if path in known else read_file(path)).read()
    check_calls(config)
    check_modules(config)
    check_parameter_variables(config)
    return config


def find_function(call: NamedCall, config: Config) -> words.Function:
    """The table's row of a function whose module is loaded."""
    owners = [(name, module.functions[call.name]) for name, module in words.read_table().items() if call.name in module.functions]
    if not owners:
        raise ConfigError(f"line {call.line}: no function {call.name} in {call.route}")
    for name, function in owners:
        if name == "core" or name in config.modules:
            return function
    raise ConfigError(f"line {call.line}: {call.name} is of module {owners[0][0]}, which is not loaded")


def check_calls(config: Config) -> None:
    """Functions exist, their modules are loaded, they may stand where they stand, the routes they name are defined."""
    for call in config.calls:
        function = find_function(call, config)
        least, most = function.needed, len(function.kinds)
        if not least <= len(call.arguments) <= most:
            raise ConfigError(f"line {call.line}: {call.name} takes {least} to {most} arguments, not {len(call.arguments)}")
        kind = words.ROUTE_KINDS[call.kind]
        if function.routes and kind not in function.routes and call.kind != "route":
            raise ConfigError(f"line {call.line}: {call.name} cannot be used in {call.route}")
        for given, wanted in zip(call.arguments, function.kinds, strict=False):
            if wanted == "int" and given and "$" not in given and not given.lstrip("-").isdigit():
                raise ConfigError(f"line {call.line}: {call.name} takes a number, not {given}")
            if wanted == "var" and given and not given.startswith("$"):
                raise ConfigError(f"line {call.line}: {call.name} takes a variable, not {given}")
        route = words.ROUTE_CALLS.get(call.name)
        if route and "$" not in call.arguments[0] and (route, call.arguments[0]) not in config.routes.blocks:
            raise ConfigError(f"line {call.line}: no {route}[{call.arguments[0]}]")


def check_modules(config: Config) -> None:
    """Modules that need others, and sockets that need a protocol."""
    for name in config.modules:
        for needed in words.NEEDS.get(name, ()):
            if needed not in config.modules:
                raise ConfigError(f"module {name} needs {needed}")
    for socket in config.sockets:
        if words.SOCKET_PROTOCOLS[socket.protocol] not in config.modules:
            raise ConfigError(f"socket {socket.protocol}:{socket.address}:{socket.port} needs its module")
    if ("route", "") not in config.routes.blocks:
        raise ConfigError("no main route")
