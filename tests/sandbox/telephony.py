"""OpenSIPS' and FreeSWITCH's stand-ins with rtpengine between them, as ordinary processes on addresses of the loopback."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cloud_init.bundles import bundle_folder
from cloud_init.node.system import POSTGRESQL_BIN
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan
from tests.sandbox.flow import Flow
from tests.sandbox.platform import PYTHON, ROOT, Platform, fetch
from tests.unit.cloud_init.opensips_files import BUNDLES, CONFIGURATION, with_bundle
from tests.waiting import wait_until

NODE = "127.0.79.1"
"""Stands for the node's private address."""

PASSWORD = "phone-password"
"""Of every phone."""

LOOPBACK = "127.0.79.2"
"""Stands for its 127.0.0.1: what the stand-ins bind there must not meet another test."""

TRUNK = "127.0.79.9"
"""Where calls come from."""

OPENSIPS_FILES = {
    "opensips/opensips.cfg": CONFIGURATION,
    "opensips/routes.cfg": "/etc/opensips/routes.cfg",
    "opensips/bundle.cfg": f"{BUNDLES}/opensips/routes.cfg",
}
"""Where a test keeps each of OpenSIPS' files, and where a node does."""

TABLES = "/run/opensips-tables"
"""Where a node keeps what OpenSIPS reads by db_text."""

SECRETS = {"database_password": "database-password", "broker_password": "broker-password", "esl_password": "event-password"}
PROGRAMS = {"opensips": "opensips.program", "freeswitch": "freeswitch.program", "fs_cli": "freeswitch.client"}


def missing_programs() -> list[str]:
    """What this machine lacks for these tests."""
    found = {
        "postgresql-15": (POSTGRESQL_BIN / "initdb").exists(),
        "rtpengine-daemon": shutil.which("rtpengine") is not None,
        "python3-psycopg2 python3-pika": subprocess.run(
            [PYTHON, "-c", "import psycopg2, pika"], capture_output=True, check=False
        ).returncode
        == 0,
    }
    return [name for name, there in found.items() if not there]


def node_files(stack: str = "local-single", key: str = "all-1", **values: object) -> dict[str, str]:
    """Path -> text of a node's files, with the addresses and passwords of these tests and `values` among the settings."""
    settings = load_deployment(stack).settings
    settings = type(settings).model_validate(settings.model_dump() | values)
    plan = make_plan(settings, stack)
    files = compose_configuration(plan, plan.node(key), settings).files

    def fill(text: str) -> str:
        text = re.sub(r"\{\{address:[^}]*\.public\}\}", "127.0.79.8", text)
        text = re.sub(r"\{\{address:[^}]*\}\}", NODE, text)
        return re.sub(r"\{\{secret:([^}]*)\}\}", lambda found: SECRETS.get(found[1], "secret"), text)

    return {path: fill(text) for path, text in files.items()}


class Consul(ThreadingHTTPServer):
    """Takes registrations; `entries` are their bodies, `passes` the renewals, which it refuses where it `forgot` the entry."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.entries: list[dict[str, object]] = []
        self.passes, self.forgot = list[str](), False
        consul = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                """Tests read nothing of it."""

            def do_PUT(self) -> None:
                """Register, pass, deregister."""
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = 200
                if self.path.startswith("/v1/agent/service/register"):
                    consul.entries.append(json.loads(body))
                elif self.path.startswith("/v1/agent/check/"):
                    consul.passes.append(self.path)
                    status = 404 if consul.forgot else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(address, Handler)


class Telephony:
    """The three programs and what they need; `close` ends everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.platform = Platform(folder)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.closing: list[Callable[[], None]] = []
        self.folders = {name: folder / name for name in ("opensips", "freeswitch", "mod", "run-freeswitch", "tmp")}
        for path in self.folders.values():
            path.mkdir()
        self.write_files()

    def local(self, text: str) -> str:
        """A file's text with this test's addresses instead of the node's loopback, and the ports of its database and broker."""
        text = re.sub(r"127\.0\.0\.1(?!:5432|:5672)", LOOPBACK, text)
        text = text.replace("127.0.0.1:5672", f"127.0.0.1:{self.platform.ports['rabbitmq']}")
        return self.platform.lead_to_database(text)

    def write_files(self) -> None:
        """The node's own files, where the programs look for them."""
        files = with_bundle(node_files())
        for name, place in OPENSIPS_FILES.items():
            self.write(name, self.opensips_text(files[place]))
        self.write_certificate(files["/usr/lib/webitel/setup/certificate.sh"])
        self.write("rtpengine.conf", self.local(files["/etc/rtpengine/rtpengine.conf"]))
        self.dispatcher = files["/etc/opensips/dispatcher.sql"]
        for name in ("freeswitch.xml", "vars.xml"):
            text = self.local(files[f"/etc/freeswitch/{name}"])
            bundle = str(self.folder / "freeswitch")
            self.write(f"freeswitch/{name}", text.replace("/usr/share/webitel/bundles/freeswitch", bundle))
        for file in bundle_folder("freeswitch").iterdir():
            shutil.copy(file, self.folder / "freeswitch")
        for name in re.findall(r'module="(mod_\w+)"', (self.folder / "freeswitch" / "modules.xml").read_text()):
            (self.folder / "mod" / f"{name}.so").touch()

    def opensips_text(self, text: str) -> str:
        """A file of OpenSIPS with this test's addresses and folders."""
        text = self.local(text).replace(TABLES, str(self.folder / "tables"))
        for name, path in OPENSIPS_FILES.items():
            text = text.replace(path, str(self.folder / name))
        return text

    def write_certificate(self, script: str) -> None:
        """A certificate, and the table that the node's own script makes of it."""
        place = self.folder / "webitel.pem"
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                f"/CN={NODE}",
                "-keyout",
                str(place),
                "-out",
                str(self.folder / "certificate.pem"),
            ],
            check=True,
            capture_output=True,
        )
        place.write_text((self.folder / "certificate.pem").read_text() + place.read_text())
        text = script.replace(TABLES, str(self.folder / "tables")).replace("/etc/ssl/private/webitel.pem", str(place))
        # Everything here belongs to who runs the test.
        text = text.replace("chgrp -R opensips", "true")
        subprocess.run(["sh", "-c", text, "certificate.sh", "start"], check=True)

    def write(self, name: str, text: str) -> Path:
        """A file of this test."""
        path = self.folder / name
        path.write_text(text)
        return path

    def set_up(self) -> None:
        """Database, Consul, Flow Manager's port, and the three programs."""
        self.platform.set_up_database()
        self.closing.append(self.platform.close)
        self.platform.sql(self.dispatcher)
        self.allow_trunk(TRUNK)
        self.consul = Consul((LOOPBACK, 8500))
        threading.Thread(target=self.consul.serve_forever, daemon=True).start()
        self.closing += [self.consul.server_close, self.consul.shutdown]
        self.flow = Flow((LOOPBACK, 10030))
        self.closing.append(self.flow.close)
        self.start_rtpengine()
        self.start_freeswitch()
        self.start_opensips()

    def allow_trunk(self, address: str) -> None:
        """A SIP trunk at an address."""
        self.platform.sql(f"insert into sip_address_allow (dc, name, host, ip) values (1, 'test', '{NODE}:5060', '{address}')")

    def add_phone(self, name: str, domain: str, digest: str) -> None:
        """A phone with the digest of its password."""
        self.platform.sql(
            "insert into sip_subscriber (uid, dc, realm, user_id, auth_id, digest_ha1, extension) values "
            f"(1, 1, '{domain}', '{name}', '{name}', '{digest}', '{name}')"
        )

    def launch(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """A program in the background, its words in `<name>.log`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=ROOT / "sandbox",
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(self.folders["tmp"]), **(environment or {})},
            )
        self.running[name] = process
        return process

    def command(self, program: str, *arguments: str) -> list[str]:
        """A stand-in's program, on the machine's own Python as on a node."""
        text = f"import sys; from standin.{PROGRAMS[program]} import main; sys.exit(main())"
        return [PYTHON, "-c", text, *arguments]

    def start_rtpengine(self) -> None:
        """rtpengine with the node's file."""
        self.launch(
            "rtpengine",
            [
                "rtpengine",
                "-f",
                "-E",
                "--no-log-timestamps",
                "--config-file",
                str(self.folder / "rtpengine.conf"),
                "--pidfile",
                str(self.folder / "rtpengine.pid"),
            ],
        )

    def opensips_arguments(self) -> list[str]:
        """What every start of OpenSIPS' stand-in gets."""
        return ["-f", str(self.folder / "opensips" / "opensips.cfg")]

    def start_opensips(self) -> None:
        """OpenSIPS' stand-in in the foreground, until its interface answers."""
        self.launch("opensips", self.command("opensips", "-F", *self.opensips_arguments()))
        wait_until(lambda: self.said("opensips", "is up"), 15, "OpenSIPS' stand-in")

    def freeswitch_arguments(self) -> list[str]:
        """What every start of FreeSWITCH's stand-in gets."""
        folders = {"-conf": "freeswitch", "-run": "run-freeswitch", "-mod": "mod"}
        return [word for flag, name in folders.items() for word in (flag, str(self.folder / name))]

    def start_freeswitch(self) -> None:
        """FreeSWITCH's stand-in in the foreground, until it is up."""
        (self.folder / "freeswitch.log").unlink(missing_ok=True)
        self.launch("freeswitch", self.command("freeswitch", "-nf", *self.freeswitch_arguments()), {"SANDBOX_SPEED": "20"})
        wait_until(lambda: self.said("freeswitch", "is up"), 10, "FreeSWITCH's stand-in")

    def fs_cli(self, command: str, password: str = SECRETS["esl_password"]) -> subprocess.CompletedProcess[str]:
        """One command over the event socket."""
        return subprocess.run(
            self.command("fs_cli", "-H", LOOPBACK, "-p", password, "-x", command),
            cwd=ROOT / "sandbox",
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    def ask(self, method: str, **given: object) -> dict[str, object]:
        """One command of OpenSIPS' management interface."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": method, **({"params": given} if given else {})}
        status, text = fetch(f"http://{LOOPBACK}:8000/mi", "", "POST", asked)
        assert status == 200, (status, text)
        answer: dict[str, object] = json.loads(text)
        return answer

    def said(self, name: str, text: str) -> bool:
        """Whether a program's log has a text; a program that ended fails the test with its last words."""
        path = self.folder / f"{name}.log"
        log = path.read_text(errors="replace") if path.exists() else ""
        assert self.running[name].poll() is None, log[-2000:]
        return text in log

    @contextmanager
    def changed(self, *pairs: tuple[str, str]) -> Iterator[None]:
        """OpenSIPS running with other files: every pair is a text of them and what stands there instead."""
        paths = [self.folder / name for name in OPENSIPS_FILES]
        before = {path: path.read_text() for path in paths}
        after = dict(before)
        for old, new in pairs:
            assert any(old in text for text in after.values()), f"nowhere: {old}"
            after = {path: text.replace(old, new) for path, text in after.items()}
        self.restart_opensips(after)
        try:
            yield
        finally:
            self.restart_opensips(before)

    def restart_opensips(self, files: dict[Path, str]) -> None:
        """OpenSIPS with these files, its log begun anew."""
        self.stop("opensips")
        for path, text in files.items():
            path.write_text(text)
        (self.folder / "opensips.log").unlink(missing_ok=True)
        self.start_opensips()

    def stop(self, name: str) -> None:
        """Ends a program and waits for its end."""
        process = self.running.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        """Ends everything."""
        for name in list(self.running):
            self.stop(name)
        for end in reversed(self.closing):
            end()


@contextmanager
def running_telephony(prepare: Callable[[Telephony], None] = lambda made: None) -> Iterator[Telephony]:
    """The three programs in a folder of their own, with phones 1001 to 1009; `prepare` comes before their start."""
    if missing := missing_programs():
        pytest.fail(f"not installed here: {', '.join(missing)}; ./webitel test sandbox installs it")
    with tempfile.TemporaryDirectory(prefix="webitel-telephony-", ignore_cleanup_errors=True) as folder:
        made = Telephony(Path(folder))
        try:
            prepare(made)
            made.set_up()
            for number in range(1001, 1010):
                digest = hashlib.md5(f"{number}:webitel:{PASSWORD}".encode(), usedforsecurity=False).hexdigest()
                made.add_phone(str(number), "webitel", digest)
            yield made
        finally:
            made.close()
        # A private key among them would lie on a node for good.
        assert list(made.folders["tmp"].iterdir()) == [], "a program left temporary files behind"
