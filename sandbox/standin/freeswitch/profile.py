"""What the SIP profile and its surroundings are told by our files, each with the real default where those are silent."""

from dataclasses import dataclass

from .dialplan import Dialplan
from .media import Ports
from .reader import Config

PAYLOADS = {"PCMU": 0, "PCMA": 8, "G722": 9}
"""Codec -> payload type, as far as they are static."""


@dataclass(frozen=True)
class Profile:
    """`codecs` are payload types in order of preference; `late` is enable-3pcc: "", "true" or "proxy".

    `media_timeout`: seconds, 0 = none.
    """

    address: str
    port: int
    media: Ports
    max_sessions: int
    per_second: int
    codecs: tuple[int, ...]
    late: str
    context: str
    dialplan: Dialplan
    variables: dict[str, str]
    media_timeout: float


def read_profile(config: Config) -> Profile:
    """The profile of our files."""
    late = config.value("sofia.conf", "enable-3pcc").lower()
    wanted = [name for name in config.value("sofia.conf", "inbound-codec-prefs").split(",") if name]
    # The variable counts milliseconds and reaches every leg as a global one; the parameter counts seconds.
    timeout = float(config.parameters.get("sofia.conf", {}).get("rtp-timeout-sec", "0"))
    return Profile(
        config.value("sofia.conf", "sip-ip"), config.number("sofia.conf", "sip-port"),
        Ports(config.value("sofia.conf", "rtp-ip"), config.number("switch.conf", "rtp-start-port"),
              config.number("switch.conf", "rtp-end-port")),
        config.number("switch.conf", "max-sessions"), config.number("switch.conf", "sessions-per-second"),
        tuple(PAYLOADS[name] for name in wanted or PAYLOADS if name in PAYLOADS),
        "proxy" if late == "proxy" else "true" if late in ("true", "yes", "on", "1") else "",
        config.value("sofia.conf", "context"), config.dialplan, config.variables,
        float(config.variables.get("media_timeout", "0")) / 1000 or timeout)
