"""uac_registrant: our own registrations at carriers."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .digest import answer_challenge
from .message import Message
from .requests import send_request
from .uri import parse_parameters, split_list

if TYPE_CHECKING:
    from .core import Core

STATES = (
    "NOT_REGISTERED_STATE",
    "REGISTERING_STATE",
    "AUTHENTICATING_STATE",
    "REGISTERED_STATE",
    "REGISTER_TIMEOUT_STATE",
    "INTERNAL_ERROR_STATE",
    "WRONG_CREDENTIALS_STATE",
    "REGISTRAR_ERROR_STATE",
    "UNREGISTERING_STATE",
)
IDLE, ASKING, PROVING, GOOD, SILENT, BROKEN, WRONG, REFUSED, LEAVING = range(9)


@dataclass(eq=False)
class Record:
    """One row of the table."""

    registrar: str
    proxy: str
    aor: str
    third: str
    user: str
    password: str
    binding: str
    parameters: str
    expires: int
    socket: str
    state: int = IDLE
    due: float = 0.0
    call_id: str = field(default_factory=lambda: secrets.token_hex(10))
    tag: str = field(default_factory=lambda: secrets.token_hex(8))
    sequence: int = 0


class Registrant:
    """Every registration that the table asks for."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.records: list[Record] = []
        self.slot = 0

    def text(self, name: str) -> str:
        """One of the module's texts."""
        return self.core.config.text("uac_registrant", name)

    def load(self) -> None:
        """Reads the table; a row whose state is not 0 is switched off. What is registered stays so."""
        names = (
            "registrar",
            "proxy",
            "aor",
            "third_party_registrant",
            "username",
            "password",
            "binding_URI",
            "binding_params",
            "expiry",
            "forced_socket",
            "cluster_shtag",
            "state",
        )
        columns = [self.text(f"{name}_column") for name in names]
        rows = self.core.databases.query("uac_registrant", f"select {','.join(columns)} from {self.text('table_name')}")
        known = {(one.aor, one.binding, one.registrar): one for one in self.records}
        found = []
        for row in rows:
            texts = ["" if value is None else str(value) for value in row]
            if texts[11] not in ("", "0"):
                continue
            registrar, proxy, aor, third, user, password, binding, parameters = texts[:8]
            expires = int(texts[8] or 0) or self.core.config.number("uac_registrant", "default_expires")
            made = Record(registrar, proxy, aor, third, user, password, binding, parameters, expires, texts[9])
            old = known.get((made.aor, made.binding, made.registrar))
            if old:
                made.state, made.due, made.sequence = old.state, old.due, old.sequence
                made.call_id, made.tag = old.call_id, old.tag
            found.append(made)
        gone = [one for one in self.records if not any(one.aor == new.aor and one.binding == new.binding for new in found)]
        self.records = found
        for one in gone:
            if one.state == GOOD:
                one.state = LEAVING
                self.register(one, expires=0)

    def tick(self) -> None:
        """One part of the table."""
        size = self.core.config.number("uac_registrant", "hash_size")
        slots = 1 << size if self.core.config.number("uac_registrant", "hash_size") else 1
        self.slot = (self.slot + 1) % slots
        now = time.monotonic()
        for number, one in enumerate(self.records):
            if number % slots == self.slot and one.state not in (ASKING, PROVING) and one.due <= now:
                one.state = ASKING
                self.register(one)

    def register(self, one: Record, proof: tuple[str, ...] = (), expires: int | None = None) -> None:
        """One REGISTER."""
        seconds = one.expires if expires is None else expires
        one.sequence += 1
        binding = one.binding.strip("<>")
        headers = (f"Contact: <{binding}>{one.parameters}", f"Expires: {seconds}", *proof)

        def done(status: int, reply: Message | None) -> None:
            self.settle(one, status, reply, bool(proof), seconds)

        sent = send_request(
            self.core,
            "REGISTER",
            one.registrar,
            one.third or one.aor,
            one.aor,
            callback=done,
            destination=one.proxy,
            socket=self.core.find_socket(one.socket) if one.socket else None,
            headers=headers,
            call_id=one.call_id,
            sequence=one.sequence,
            tags=(one.tag, ""),
        )
        if sent is None:
            one.state = BROKEN

    def settle(self, one: Record, status: int, reply: Message | None, proved: bool, seconds: int) -> None:
        """What a registrar said."""
        interval = self.core.config.number("uac_registrant", "timer_interval")
        one.due = time.monotonic() + interval
        if one.state == LEAVING and (status not in (401, 407) or proved):
            return
        if reply is None:
            one.state = SILENT if status == 408 else BROKEN
        elif status in (401, 407) and not proved:
            said = reply.one("www-authenticate" if status == 401 else "proxy-authenticate")
            name = "Authorization" if status == 401 else "Proxy-Authorization"
            if one.state != LEAVING:
                one.state = PROVING
            self.register(one, (f"{name}: {answer_challenge(said, 'REGISTER', one.registrar, one.user, one.password)}",), seconds)
        elif status in (401, 407, 403):
            one.state = WRONG
        elif status < 300:
            one.state = GOOD
            given = self.granted(one, reply)
            one.due = time.monotonic() + max(1, given - interval)
        elif status == 423:
            least = reply.one("min-expires")
            one.expires = int(least) if least.isdigit() else one.expires
            one.state = REFUSED
        else:
            one.state = REFUSED

    @staticmethod
    def granted(one: Record, reply: Message) -> int:
        """Seconds that the registrar gives our contact."""
        for header in reply.headers:
            if header.key == "contact":
                for value in split_list(header.value):
                    if one.binding.strip("<>") in value:
                        said = parse_parameters(value.partition(">")[2]).get("expires", "")
                        if said.isdigit():
                            return int(said)
        said = reply.one("expires")
        return int(said) if said.isdigit() else one.expires

    def listing(self) -> dict[str, object]:
        """MI `reg_list`."""
        return {
            "Records": [
                {
                    "AOR": one.aor,
                    "expires": one.expires,
                    "state": STATES[one.state],
                    "binding_URI": one.binding,
                    "registrar": one.registrar,
                    **({"third_party_registrant": one.third} if one.third else {}),
                    **({"proxy": one.proxy} if one.proxy else {}),
                }
                for one in self.records
            ]
        }


def start(core: Core) -> None:
    """Loads the table and registers."""
    if not core.has("uac_registrant"):
        return
    registrant = core.registrant
    registrant.load()

    def reload(aor: str = "", contact: str = "", registrar: str = "") -> str:
        del aor, contact, registrar
        registrant.load()
        return "OK"

    core.commands |= {"reg_list": lambda aor="", contact="", registrar="": registrant.listing(), "reg_reload": reload}
    size = core.config.number("uac_registrant", "hash_size")
    core.timers.every(core.config.number("uac_registrant", "timer_interval") / (1 << size if size else 1), registrant.tick)
