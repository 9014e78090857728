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

    `silence` and `hold`: seconds after which a leg without a packet ends, 0 = never.
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
    silence: float
    hold: float


def read_profile(config: Config) -> Profile:
    """The profile of our files."""
    late = config.value("sofia.conf", "enable-3pcc").lower()
    wanted = [name for name in config.value("sofia.conf", "inbound-codec-prefs").split(",") if name]
    # The variable counts milliseconds and reaches every leg as a global one. 1.10.12 sets it again with every packet it reads, so
    # that no longer time on hold is ever left; the deprecated parameters count seconds and do what they say.
    silence = float(config.variables.get("media_timeout", "0")) / 1000
    named = float(config.value("sofia.conf", "rtp-timeout-sec"))
    hold = silence or float(config.value("sofia.conf", "rtp-hold-timeout-sec")) or 10 * named
    return Profile(
        config.value("sofia.conf", "sip-ip"),
        config.number("sofia.conf", "sip-port"),
        Ports(
            config.value("sofia.conf", "rtp-ip"),
            config.number("switch.conf", "rtp-start-port"),
            config.number("switch.conf", "rtp-end-port"),
        ),
        config.number("switch.conf", "max-sessions"),
        config.number("switch.conf", "sessions-per-second"),
        tuple(PAYLOADS[name] for name in wanted or PAYLOADS if name in PAYLOADS),
        "proxy" if late == "proxy" else "true" if late in ("true", "yes", "on", "1") else "",
        config.value("sofia.conf", "context"),
        config.dialplan,
        config.variables,
        silence or named,
        hold,
    )
