"""tls_mgm: certificates by domain, from the script or from a database that can be read again."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from .tokens import ConfigError
from .transport import Listener

if TYPE_CHECKING:
    from .core import Core

COLUMNS = (
    "domain",
    "match_ip_address",
    "match_sip_domain",
    "tls_method",
    "verify_cert",
    "require_cert",
    "certificate",
    "private_key",
    "crl_check_all",
    "crl_dir",
    "ca_list",
    "ca_dir",
    "ciphers_list",
    "dh_params",
    "ec_curve",
)
SERVER = 2
"""The type of a row that is for connections of others."""

VERSIONS = {
    "tlsv1_2": (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
    "tlsv1_3": (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3),
    "tlsv1": (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1),
    "sslv23": (ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.MAXIMUM_SUPPORTED),
    "tlsany": (ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.MAXIMUM_SUPPORTED),
}


@dataclass
class Domain:
    """One server or client domain."""

    name: str
    is_server: bool
    settings: dict[str, str]
    scripted: bool
    context: ssl.SSLContext | None = None


def read_text_table(folder: Path, table: str) -> list[dict[str, str]]:
    """A table of db_text: a line of columns, then rows with colons between the values."""
    lines = [line for line in (folder / table).read_text().splitlines() if line.strip() and not line.startswith("#")]
    names = [re.match(r"\w+", column)[0] for column in lines[0].split()]  # type: ignore[index]
    rows = []
    for line in lines[1:]:
        values = [
            re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r", "t": "\t", "0": ""}.get(found[1], found[1]), part)
            for part in re.split(r"(?<!\\):", line)
        ]
        rows.append(dict(zip(names, values, strict=False)))
    return rows


class Domains:
    """Every TLS domain."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.rows: list[Domain] = []

    def read_script(self) -> None:
        """`server_domain` and what is said about it as `[name]value`."""
        config = self.core.config
        for kind in ("server_domain", "client_domain"):
            for value in config.parameters.get(("tls_mgm", kind), []):
                name = str(value).partition("=")[0].strip()
                self.rows.append(Domain(name, kind == "server_domain", {}, True))
        for (module, name), values in config.parameters.items():
            if module == "tls_mgm" and name in COLUMNS:
                for value in values:
                    match = re.match(r"\[(\w+)\](.*)", str(value), re.DOTALL)
                    if match is None:
                        raise ConfigError(f"tls_mgm.{name} = {value}: no [domain] in front")
                    for row in self.rows:
                        if row.name == match[1]:
                            row.settings[name] = match[2]

    def read_database(self) -> list[Domain]:
        """The rows of the table, by the column names that the file or the program gives."""
        config = self.core.config
        url = config.text("tls_mgm", "db_url")
        if not url:
            return []
        table = config.text("tls_mgm", "db_table")
        columns = {
            name: config.text(
                "tls_mgm", {"tls_method": "tls_method_col", "ciphers_list": "ciphers_list_col"}.get(name, f"{name}_col")
            )
            for name in COLUMNS
        }
        if url.startswith("text://"):
            found = read_text_table(Path(url.removeprefix("text://")), table)
        else:
            names = [*columns.values(), "type"]
            rows = self.core.databases.query("tls_mgm", f"select {','.join(names)} from {table}")
            found = [dict(zip(names, ["" if value is None else str(value) for value in row], strict=True)) for row in rows]
        return [
            Domain(
                row.get(columns["domain"], ""),
                row.get("type") == str(SERVER),
                {name: row[column] for name, column in columns.items() if row.get(column)},
                False,
            )
            for row in found
        ]

    def load(self) -> None:
        """Makes every domain's context; a ConfigError or an OSError when one cannot be used."""
        fresh = self.read_database()
        for row in (*[one for one in self.rows if one.scripted and one.context is None], *fresh):
            row.context = self.make_context(row)
        self.rows = [*[one for one in self.rows if one.scripted], *fresh]

    def value(self, row: Domain, name: str) -> str:
        """A domain's setting, or the program's default."""
        return row.settings.get(name) or self.core.config.text("tls_mgm", name)

    def make_context(self, row: Domain) -> ssl.SSLContext:
        """What connections of a domain use; a certificate may stand in the setting itself or in a file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if row.is_server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        method = self.value(row, "tls_method").lower().split("-")
        first, last = VERSIONS.get(method[0], VERSIONS["sslv23"])
        context.minimum_version = first
        context.maximum_version = (
            VERSIONS[method[1]][1]
            if len(method) > 1 and method[1] in VERSIONS
            else (ssl.TLSVersion.MAXIMUM_SUPPORTED if len(method) > 1 else last)
        )
        if self.value(row, "verify_cert") == "1" and (not row.is_server or self.value(row, "require_cert") == "1"):
            context.verify_mode = ssl.CERT_REQUIRED if self.value(row, "require_cert") == "1" else ssl.CERT_OPTIONAL
        else:
            context.verify_mode = ssl.CERT_NONE
        if ca := row.settings.get("ca_list"):
            if ca.lstrip().startswith("-----"):
                context.load_verify_locations(cadata=ca)
            else:
                context.load_verify_locations(ca)
        if ciphers := row.settings.get("ciphers_list"):
            context.set_ciphers(ciphers)
        if row.is_server or "certificate" in row.settings:
            with TemporaryDirectory() as private:
                certificate, key = (self.file_of(row, name, private) for name in ("certificate", "private_key"))
                context.load_cert_chain(certificate, key)
        return context

    def file_of(self, row: Domain, name: str, private: str) -> str:
        """The path of a certificate or key; a text that is one itself becomes a file of a private folder."""
        text = self.value(row, name)
        if not text.lstrip().startswith("-----"):
            return text
        file = Path(private) / f"{name}.pem"
        file.write_text(text)
        return str(file)

    def choose(self, listener: Listener, client: bool) -> ssl.SSLContext | None:
        """The domain of a socket: its own address, else any."""
        for wanted in (f"{listener.address}:{listener.port}", "*"):
            for row in self.rows:
                if row.is_server != client and self.value(row, "match_ip_address") == wanted:
                    return row.context
        self.core.say(f"ERROR:tls_mgm: no TLS {'client' if client else 'server'} domain for {listener}")
        return None


def start(core: Core) -> None:
    """Reads every domain; `tls_reload` reads those of a database again, never those of the script."""
    if not core.has("tls_mgm"):
        return
    domains = Domains(core)
    domains.read_script()
    domains.load()
    core.streams.contexts = domains.choose

    def reload() -> str:
        domains.load()
        return "OK"

    core.commands["tls_reload"] = reload
    core.commands["tls_list"] = lambda: {
        "Domains": [{"name": row.name, "type": "server" if row.is_server else "client", **row.settings} for row in domains.rows]
    }
