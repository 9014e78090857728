"""Grafana's stand-in: a strict reader of grafana.ini and of the provisioned data sources; nobody saw the real one run."""

import base64
import configparser
import json
import os
import signal
import sqlite3
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from .database import Database, DatabaseError
from .listeners import ListenError, Server
from .words import Answer, Listener, Pool

VERSION = "11.6.0+sandbox1"

KNOWN = {
    "server": {"http_addr", "http_port", "protocol", "domain", "root_url", "serve_from_sub_path", "enforce_domain"},
    "security": {
        "admin_user",
        "admin_password",
        "secret_key",
        "cookie_secure",
        "cookie_samesite",
        "disable_gravatar",
        "allow_embedding",
        "strict_transport_security",
        "disable_initial_admin_creation",
    },
    "users": {"allow_sign_up", "allow_org_create", "default_theme", "viewers_can_edit"},
    "auth.anonymous": {"enabled", "org_role"},
    "auth.basic": {"enabled"},
    "analytics": {"reporting_enabled", "check_for_updates", "check_for_plugin_updates", "feedback_links_enabled"},
    "snapshots": {"external_enabled"},
    "news": {"news_feed_enabled"},
    "log": {"mode", "level"},
    "database": {
        "type",
        "host",
        "name",
        "user",
        "password",
        "ssl_mode",
        "ca_cert_path",
        "max_open_conn",
        "max_idle_conn",
        "conn_max_lifetime",
    },
    "paths": {"data", "logs", "plugins", "provisioning"},
    "plugins": {"preinstall_disabled", "plugin_admin_enabled"},
    "date_formats": {"default_timezone"},
}
REQUIRED = {"postgres": {"name", "type", "url", "user"}, "prometheus": {"name", "type", "url"}}
"""By type of a data source."""


class ConfigurationError(Exception):
    """A file says what Grafana does not know, or lacks what it needs."""


def read_ini(path: Path) -> dict[str, dict[str, str]]:
    """grafana.ini; raises ConfigurationError for an unknown section or key."""
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=(";", "#"))
    try:
        parser.read_string(path.read_text())
    except (OSError, configparser.Error) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    for section in parser.sections():
        unknown = set(parser[section]) - KNOWN.get(section, set())
        if section not in KNOWN or unknown:
            raise ConfigurationError(f"{path}: [{section}] {' '.join(sorted(unknown)) or 'is no section of Grafana'}")
    return {section: dict(parser[section]) for section in parser.sections()}


def read_data_sources(folder: Path) -> list[dict[str, Any]]:
    """The provisioned data sources; raises ConfigurationError."""
    found: list[dict[str, Any]] = []
    for path in sorted((folder / "datasources").glob("*.yaml")):
        try:
            document = yaml.safe_load(path.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            raise ConfigurationError(f"{path}: {error}") from error
        if document.get("apiVersion") != 1:
            raise ConfigurationError(f"{path}: apiVersion is not 1")
        for source in document.get("datasources", []):
            if source.get("type") not in REQUIRED:
                raise ConfigurationError(f"{path}: a data source of type {source.get('type')}")
            if missing := REQUIRED[source["type"]] - set(source):
                raise ConfigurationError(f"{path}: a data source without {' '.join(sorted(missing))}")
            found.append(source)
    return found


class Grafana:
    """The running stand-in."""

    def __init__(self, arguments: list[str]) -> None:
        given = dict(word.removeprefix("--").removeprefix("cfg:default.").split("=", 1) for word in arguments if "=" in word)
        self.settings = read_ini(Path(given.get("config", "/etc/grafana/grafana.ini")))
        self.sources = read_data_sources(Path(given.get("paths.provisioning", "/etc/grafana/provisioning")))
        self.file = Path(given.get("paths.data", "/var/lib/grafana")) / "grafana.db"
        security = self.settings.get("security", {})
        self.account = security.get("admin_user", "admin"), security.get("admin_password", "admin")
        self.own_database()

    def own_database(self) -> None:
        """Writes its own database, in PostgreSQL where it is told so, else in a file; raises sqlite3.Error or DatabaseError."""
        store = self.settings.get("database", {})
        if store.get("type", "sqlite3") == "postgres":
            place = f"{store.get('host', '')}/{store.get('name', '')}?sslmode={store.get('ssl_mode', 'disable')}"
            if "ca_cert_path" in store:
                place += f"&sslrootcert={store['ca_cert_path']}"
            session = Database(f"postgres://{store.get('user', '')}:{store.get('password', '')}@{place}", Pool(), (), print)
            try:
                session.open()
                session.execute("create table if not exists sandbox (started text)")
            finally:
                session.close()
            return
        with sqlite3.connect(self.file) as database:
            database.execute("create table if not exists sandbox (started text)")
            database.execute("select count(*) from sandbox")

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, str]:
        """Status, content type and text of a request."""
        if path == "/api/health":
            try:
                self.own_database()
            except (sqlite3.Error, DatabaseError):
                return 503, "application/json", f'{{"database": "failing", "version": "{VERSION}"}}'
            return 200, "application/json", f'{{"commit": "sandbox", "database": "ok", "version": "{VERSION}"}}'
        if path in ("/", "/login"):
            return 200, "text/html; charset=utf-8", "<!doctype html><title>Grafana</title><h1>Stand-in of the sandbox</h1>\n"
        if not path.startswith("/api/"):
            return 404, "text/plain", "Not found\n"
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        expected = base64.b64encode(":".join(self.account).encode()).decode()
        if scheme.lower() != "basic" or credentials != expected:
            return 401, "application/json", '{"message":"Invalid username or password"}'
        if path == "/api/datasources":
            shown = [{key: source.get(key) for key in ("uid", "name", "type", "url", "user")} for source in self.sources]
            return 200, "application/json", json.dumps(shown)
        words = path.split("/")
        if words[2:4] == ["datasources", "uid"] and words[-1] == "health":
            return self.source_health(words[4])
        return 200, "application/json", '{"id":1,"name":"Main Org."}'

    def source_health(self, uid: str) -> tuple[int, str, str]:
        """Asks the data source's database with its own role and password."""
        source = next((source for source in self.sources if source.get("uid") == uid), None)
        if source is None:
            return 404, "application/json", '{"message":"Data source not found"}'
        if source["type"] == "prometheus":
            return ask_prometheus(source["url"])
        options, password = source.get("jsonData", {}), source.get("secureJsonData", {}).get("password", "")
        place = f"{source['url']}/{options.get('database', '')}?sslmode={options.get('sslmode', 'require')}"
        if options.get("tlsConfigurationMethod") == "file-path" and "sslRootCertFile" in options:
            place += f"&sslrootcert={options['sslRootCertFile']}"
        database = Database(f"postgres://{source['user']}:{password}@{place}", Pool(), (), print)
        try:
            database.open()
            database.query("select 1")
        except DatabaseError as error:
            return 400, "application/json", json.dumps({"status": "ERROR", "message": str(error)})
        finally:
            database.close()
        return 200, "application/json", '{"status":"OK","message":"Database Connection OK"}'


def ask_prometheus(url: str) -> tuple[int, str, str]:
    """Asks a Prometheus for a value, as the real health check does."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?query=1%2B1", timeout=5) as answer:
            json.load(answer)["data"]["result"]
    except (OSError, ValueError, KeyError) as error:
        return 400, "application/json", json.dumps({"status": "ERROR", "message": str(error)})
    return 200, "application/json", '{"status":"OK","message":"Successfully queried the Prometheus API."}'


def main() -> int:
    """Serves until SIGTERM; 1 when a file or the port is not as it must be."""
    try:
        grafana = Grafana(sys.argv[1:])
        server = Server("grafana-server", lambda relation: False, {"grafana": grafana.answer})
        address = grafana.settings.get("server", {})
        listener = Listener("http", "", "http", (Answer("/", 200, "grafana"),))
        server.listen(listener, f"{address.get('http_addr', '')}:{address.get('http_port', '3000')}")
    except (ConfigurationError, ListenError, sqlite3.Error, DatabaseError) as error:
        print(f"grafana: {error}", file=sys.stderr)
        return 1
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    print(f"grafana: {VERSION} stand-in is up", file=sys.stderr, flush=True)
    stopping.wait()
    os._exit(0)
