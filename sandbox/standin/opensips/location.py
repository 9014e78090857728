"""usrloc: registered contacts in memory, written through into the `location` table."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .events import raise_local
from .sql import SqlError, quote
from .transport import Listener
from .tree import Value

if TYPE_CHECKING:
    from .core import Core

WRITES = ("single-instance-sql-write-through",)
READS = (*WRITES, "single-instance-sql-write-back")


@dataclass(eq=False)
class Contact:
    """One contact of an address of record."""

    aor: str
    uri: str
    expires: float
    quality: float = -1.0
    call_id: str = ""
    sequence: int = 0
    flags: set[str] = field(default_factory=set)
    agent: str = ""
    received: str = ""
    path: str = ""
    socket: Listener | None = None
    methods: frozenset[str] | None = None
    attribute: str = ""
    identifier: int = field(default_factory=lambda: secrets.randbits(62))
    lost: int = 0
    """Pings without an answer, one after another."""


METHODS = (
    "INVITE",
    "CANCEL",
    "ACK",
    "BYE",
    "INFO",
    "OPTIONS",
    "UPDATE",
    "REGISTER",
    "MESSAGE",
    "SUBSCRIBE",
    "NOTIFY",
    "PRACK",
    "REFER",
    "PUBLISH",
)


class Location:
    """Every registered contact."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.lock = threading.RLock()
        self.records: dict[str, list[Contact]] = {}

    def text(self, name: str) -> str:
        """One of usrloc's texts."""
        return self.core.config.text("usrloc", name)

    @property
    def mode(self) -> str:
        """What is kept in the database."""
        return self.text("working_mode_preset")

    def name_of(self, user: str, host: str) -> str:
        """An address of record; with `use_domain` the domain belongs to it."""
        user = user if self.core.config.number("registrar", "case_sensitive") else user.lower()
        return f"{user}@{host.lower()}" if self.core.config.number("usrloc", "use_domain") else user

    def find(self, aor: str) -> list[Contact]:
        """What is registered and has not ended, the best first."""
        with self.lock:
            return sorted((one for one in self.records.get(aor, []) if one.expires > time.time()), key=lambda one: -one.quality)

    def count_users(self) -> int:
        """Addresses of record with a contact."""
        with self.lock:
            return len(self.records)

    def everything(self) -> list[Contact]:
        """Every contact."""
        with self.lock:
            return [one for rows in self.records.values() for one in rows]

    def add(self, contact: Contact) -> None:
        """A new contact; the first of an address of record is an event."""
        with self.lock:
            rows = self.records.setdefault(contact.aor, [])
            is_first = not rows
            rows.append(contact)
        if self.mode in WRITES:
            self.write(self.insertion(contact))
        self.announce(contact, is_first)

    def announce(self, contact: Contact, is_first: bool) -> None:
        """The events of a new contact."""
        if is_first:
            raise_local(self.core, "E_UL_AOR_INSERT", {"domain": "location", "aor": contact.aor})
        raise_local(self.core, "E_UL_CONTACT_INSERT", self.event(contact))

    def announce_all(self) -> None:
        """Once the script is ready for them, the events of what was registered before the last stop."""
        for contact in self.everything():
            self.announce(contact, self.records[contact.aor][0] is contact)

    def update(self, contact: Contact) -> None:
        """The same contact again."""
        contact.lost = 0
        if self.mode in WRITES:
            row = self.row(contact)
            key = self.text("contact_id_column")
            changed = ",".join(f"{name}={value}" for name, value in row.items() if name != key)
            self.write(f"update location set {changed} where {key}={row[key]}")
        raise_local(self.core, "E_UL_CONTACT_UPDATE", self.event(contact))

    def remove(self, contact: Contact, why: str) -> None:
        """It is gone; the last of an address of record is an event."""
        with self.lock:
            rows = self.records.get(contact.aor, [])
            if contact not in rows:
                return
            rows.remove(contact)
            is_last = not rows
            if is_last:
                del self.records[contact.aor]
        if self.mode in WRITES:
            self.write(f"delete from location where {self.text('contact_id_column')}={contact.identifier}")
        raise_local(self.core, "E_UL_CONTACT_DELETE", self.event(contact) | {"reason": why})
        if is_last:
            raise_local(self.core, "E_UL_AOR_DELETE", {"domain": "location", "aor": contact.aor})

    @staticmethod
    def event(contact: Contact) -> dict[str, Value]:
        """What an event says about a contact."""
        return {
            "domain": "location",
            "aor": contact.aor,
            "uri": contact.uri,
            "received": contact.received,
            "path": contact.path,
            "user_agent": contact.agent,
            "socket": str(contact.socket or ""),
            "attr": contact.attribute,
            "callid": contact.call_id,
            "cseq": contact.sequence,
            "expires": int(contact.expires),
        }

    def row(self, contact: Contact) -> dict[str, str]:
        """Column -> value as it stands in a statement."""
        user, _, host = contact.aor.partition("@")
        taken = contact.methods
        mask = None if taken is None else sum(1 << place for place, name in enumerate(METHODS) if name in taken)
        values: dict[str, Value | float] = {
            "contact_id": contact.identifier,
            "user": user,
            "contact": contact.uri,
            "expires": int(contact.expires),
            "callid": contact.call_id,
            "cseq": contact.sequence,
            "flags": 0,
            "cflags": " ".join(sorted(contact.flags)),
            "user_agent": contact.agent,
            "received": contact.received or None,
            "path": contact.path or None,
            "socket": str(contact.socket) if contact.socket else None,
            "methods": mask,
            "attr": contact.attribute or None,
            "kv_store": None,
        }
        if self.core.config.number("usrloc", "use_domain"):
            values["domain"] = host
        found = {self.text(f"{name}_column"): quote(value) for name, value in values.items() if not isinstance(value, float)}
        found[self.text("q_column")] = str(contact.quality)
        found["last_modified"] = f"to_timestamp({int(time.time())})::timestamp"
        found[self.text("sip_instance_column")] = "NULL"
        return found

    def insertion(self, contact: Contact) -> str:
        """The statement for a new row."""
        row = self.row(contact)
        return f"insert into location ({','.join(row)}) values ({','.join(row.values())})"

    def write(self, statement: str) -> None:
        """A failure is logged; the contact stays in memory."""
        try:
            self.core.databases.query("usrloc", statement)
        except SqlError as error:
            self.core.say(f"ERROR:usrloc:db_insert_ucontact: {error}")

    def restore(self) -> None:
        """What was registered before the last stop, also what has ended since: that is noticed later."""
        columns = (
            "user",
            "domain",
            "contact",
            "expires",
            "q",
            "callid",
            "cseq",
            "cflags",
            "user_agent",
            "received",
            "path",
            "socket",
            "methods",
            "attr",
            "contact_id",
        )
        names = [self.text(f"{name}_column") for name in columns]
        rows = self.core.databases.query("usrloc", f"select {','.join(names)} from location")
        for row in rows:
            user, host, uri, expires, quality, call_id, sequence, flags, *rest = row
            agent, received, path, socket, methods, attribute, key = rest
            mask = None if methods is None else frozenset(name for place, name in enumerate(METHODS) if int(methods) >> place & 1)
            weight = float(-1 if quality is None else quality)
            contact = Contact(
                self.name_of(str(user), str(host or "")),
                str(uri),
                float(expires or 0),
                weight,
                str(call_id),
                int(sequence or 0),
                set(str(flags or "").split()),
                str(agent or ""),
                str(received or ""),
                str(path or ""),
                self.core.find_socket(str(socket)) if socket else None,
                mask,
                str(attribute or ""),
                int(key or 0),
            )
            self.records.setdefault(contact.aor, []).append(contact)

    def sweep(self) -> None:
        """Takes out what has ended."""
        for contact in self.everything():
            if contact.expires and contact.expires < time.time():
                self.remove(contact, "expired")

    def dump(self) -> dict[str, object]:
        """MI `ul_dump`."""
        with self.lock:
            return {
                "Domains": [
                    {
                        "name": "location",
                        "AORs": [
                            {
                                "AOR": aor,
                                "Contacts": [
                                    {
                                        "Contact": one.uri,
                                        "Expires": int(one.expires - time.time()),
                                        "Q": one.quality,
                                        "Callid": one.call_id,
                                        "Cflags": " ".join(sorted(one.flags)),
                                        "Socket": str(one.socket or ""),
                                        "Received": one.received,
                                        "Attr": one.attribute,
                                    }
                                    for one in rows
                                ],
                            }
                            for aor, rows in self.records.items()
                        ],
                    }
                ]
            }
