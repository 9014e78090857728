"""What a file may say word by word and still not work."""

from . import words
from .reader import Config, Reader
from .tokens import ConfigError


def read_config(text: str) -> Config:
    """The file, fully checked; a ConfigError says the first thing that is wrong."""
    config = Reader(text).read()
    check_calls(config)
    check_modules(config)
    return config


def check_calls(config: Config) -> None:
    """Functions exist, their modules are loaded, the routes they name are defined."""
    known = {**words.CORE_FUNCTIONS}
    owner: dict[str, str] = {}
    for name, module in words.MODULES.items():
        for function, arity in module.functions.items():
            known[function], owner[function] = arity, name
    for call in config.calls:
        if call.name not in known:
            raise ConfigError(f"line {call.line}: no function {call.name} in {call.route}")
        if call.name in owner and owner[call.name] not in config.modules:
            raise ConfigError(f"line {call.line}: {call.name} is of module {owner[call.name]}, which is not loaded")
        least, most = known[call.name]
        if not least <= len(call.arguments) <= most:
            raise ConfigError(f"line {call.line}: {call.name} takes {least} to {most} arguments, not {len(call.arguments)}")
        kind = words.ROUTE_CALLS.get(call.name)
        if kind and (kind, call.arguments[0]) not in config.routes:
            raise ConfigError(f"line {call.line}: no {kind}[{call.arguments[0]}]")


def check_modules(config: Config) -> None:
    """Modules that need others, sockets that need a protocol, and what a working node needs."""
    for name in config.modules:
        for needed in words.NEEDS.get(name, ()):
            if needed not in config.modules:
                raise ConfigError(f"module {name} needs {needed}")
    for socket in config.sockets:
        if words.SOCKET_PROTOCOLS[socket.protocol] not in config.modules:
            raise ConfigError(f"socket {socket.protocol}:{socket.address}:{socket.port} needs its module")
    for (module, name), value in words.MUST.items():
        found = config.parameter(module, name)
        if value is not None and found != value:
            raise ConfigError(f"{module}.{name} = {found}, expected {value}")
    if ("route", "") not in config.routes:
        raise ConfigError("no main route")
    if len([s for s in config.sockets if s.protocol == "udp"]) < 2:
        raise ConfigError("one UDP socket: FreeSWITCH needs an inner one (facts/calls-observed.md 1)")
    select = config.calls_of("ds_select_dst")
    if not select or any(len(call.arguments) < 3 or "f" not in call.arguments[2] for call in select):
        raise ConfigError("ds_select_dst without flag f: ds_next_dst would do nothing (facts/calls-observed.md 0.3)")
