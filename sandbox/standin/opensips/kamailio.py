"""From what opensips.cfg says to Kamailio's configuration and the list of its dispatcher."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from .reader import Config, Socket
from .tokens import ConfigError

TEMPLATE = Path(__file__).with_name("kamailio.cfg")
SET = 1
"""The dispatcher's set of FreeSWITCH nodes."""

WEBSOCKET_ROUTE = """
event_route[xhttp:request] {
    if ($hdr(Upgrade) =~ "websocket" && $hdr(Connection) =~ "Upgrade" && ws_handle_handshake()) exit;
    xhttp_reply("404", "Not Found", "text/plain", "");
}
"""


def inner_socket(config: Config) -> Socket:
    """The UDP socket that the dispatcher's rows name: the highest UDP port, never the one that carriers use."""
    return max((socket for socket in config.sockets if socket.protocol == "udp"), key=lambda socket: socket.port)


def outer_socket(config: Config) -> Socket:
    """The first UDP socket."""
    return next(socket for socket in config.sockets if socket.protocol == "udp")


def database_url(config: Config) -> str:
    """The one URL of the set that every module uses."""
    urls = [str(value) for value in config.parameters.get(("db_virtual", "db_urls"), []) if str(value).startswith("postgres://")]
    if len(urls) != 1:
        raise ConfigError("db_virtual.db_urls: exactly one postgres:// URL is expected, the proxy on the loopback")
    return urls[0]


def listen_line(socket: Socket) -> str:
    """Kamailio's words for a socket; WebSocket is TCP to it."""
    protocol = "tcp" if socket.protocol == "ws" else socket.protocol
    advertised = f" advertise {socket.advertised}:{socket.port}" if socket.advertised else ""
    return f"listen={protocol}:{socket.address}:{socket.port}{advertised}"


def write_kamailio(config: Config, run: str, websocket: bool) -> str:
    """Kamailio's configuration; `websocket` says whether its module is installed."""
    url = urlsplit(database_url(config))
    pike = "pike" in config.modules
    inner, outer = inner_socket(config), outer_socket(config)
    values = {
        "LISTEN": "\n".join(listen_line(socket) for socket in config.sockets),
        "RUN": run, "FR": int(config.parameter("tm", "fr_timeout")) * 1000,
        "FR_INV": int(config.parameter("tm", "fr_inv_timeout")) * 1000,
        "DATABASE": f"postgres://{url.netloc}{url.path}", "DOMAIN_TABLE": config.parameter("domain", "domain_table"),
        **{f"{name}_COLUMN": config.parameter("auth_db", f"{name.lower()}_column") for name in ("USER", "DOMAIN", "PASSWORD")},
        "PING_METHOD": config.parameter("dispatcher", "ds_ping_method"),
        "PING_INTERVAL": config.parameter("dispatcher", "ds_ping_interval"),
        "THRESHOLD": config.parameter("dispatcher", "ds_probing_threshhold"),
        "RTPENGINE": config.parameter("rtpengine", "rtpengine_sock"),
        "INNER_PORT": inner.port, "OUTER": f"{outer.address}:{outer.port}",
        "PIKE_MODULE": 'loadmodule "pike.so"' if pike else "",
        "PIKE_PARAMETERS": "\n".join(
            f'modparam("pike", "{name}", {config.parameter("pike", name)})'
            for name in ("sampling_time_unit", "reqs_density_per_unit", "remove_latency")) if pike else "",
        "PIKE_CHECK": "    if (!pike_check_req()) exit;" if pike else "",
        "WEBSOCKET_MODULE": 'loadmodule "xhttp.so"\nloadmodule "websocket.so"' if websocket else "",
        "WEBSOCKET_ROUTE": WEBSOCKET_ROUTE if websocket else "",
    }
    text = TEMPLATE.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def dispatcher_list(rows: Iterable[tuple[int, str, str]]) -> str:
    """Kamailio's list from rows of set, destination and socket."""
    return "".join(f"{group} {destination} 0 0 {f'socket={socket}' if socket else ''}\n" for group, destination, socket in rows)
