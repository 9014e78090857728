"""What FreeSWITCH would find out too late, or never, and what its start says."""

import xml.etree.ElementTree as ElementTree
from ipaddress import ip_address, ip_network
from pathlib import Path

from . import words
from .reader import Config, ConfigError, Preprocessor


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
    if config.value("sofia.conf", "context") not in config.dialplan.contexts:
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
    config.problems += list_complaints(config)


def check_files(config: Config, folder: Path) -> None:
    """A missing critical module ends the start; another one is a line in the log."""
    for name, critical in config.modules.items():
        if (folder / f"{name}.so").exists():
            continue
        if critical:
            raise ConfigError(f"Failed to load critical module '{name}', abort()")
        config.problems.append(
            f"[CRIT] switch_loadable_module.c:1754 Error Loading module {folder}/{name}.so\n"
            f"**{folder}/{name}.so: cannot open shared object file: No such file or directory**"
        )


def list_complaints(config: Config) -> list[str]:
    """What the start writes into the log although the program runs: deprecated names, missing configurations, odd ports."""
    said = [line for name, line in words.DEPRECATED.items() if name in config.parameters.get("sofia.conf", {})]
    said += [
        line
        for name, (module, line) in words.CONFIGURATIONS.items()
        if name not in config.parameters and (not module or module in config.modules)
    ]
    first, last = (config.number("switch.conf", name) for name in ("rtp-start-port", "rtp-end-port"))
    if first % 2:
        said.append(f"[WARNING] switch_core_port_allocator.c:79 Rounding odd start port {first} to {first + 1}")
    if last % 2:
        said.append(f"[WARNING] switch_core_port_allocator.c:83 Rounding odd end port {last} to {last - 1}")
    return said


def check_address(what: str, text: str) -> None:
    """An explicit IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError as error:
        raise ConfigError(f"{what} = {text!r} is no address") from error
    if address.is_unspecified:
        raise ConfigError(f"{what} = {text}: every address of the node")
