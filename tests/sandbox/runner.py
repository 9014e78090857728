"""Starting stand-ins with the very settings that a node of local-single gets."""

import os
import re
import signal
import subprocess
from pathlib import Path

from components.model.settings import Settings
from sandbox.standin.behaviour import BEHAVIOURS
from sandbox.webitel.packages import LAUNCHER
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan
from tests.sandbox.platform import ROOT, Platform

ADDRESS = "127.0.77.1"
"""Stands for the node's private address: pinned ports there meet nobody else's."""

SECRETS = {
    "database_password": "database-password",
    "broker_password": "broker-password",
    "cookie_keys": "0123456789abcdef0123456789abcdef,fedcba9876543210fedcba9876543210",
}


def node_files(**values: object) -> dict[str, str]:
    """Path -> text of the files of local-single's node, with placeholders; `values` are settings that differ."""
    settings = load_deployment("local-single").settings
    settings = Settings.model_validate(settings.model_dump(exclude_unset=True) | values)
    plan = make_plan(settings, "local-single")
    return dict(compose_configuration(plan, plan.nodes[0], settings).files)


def settings_file(files: dict[str, str], service: str) -> dict[str, str]:
    """The environment that systemd would make of a service's file, placeholders filled."""
    text = re.sub(r"\{\{address:[^}]*\}\}", ADDRESS, files[f"/etc/webitel/{service}.env"])
    text = re.sub(r"\{\{secret:([^}]*)\}\}", lambda found: SECRETS[found[1]], text)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


class Runner:
    """Runs stand-ins against a platform; everything it started ends with `close`."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.platform, self.folder, self.files = platform, folder, node_files()
        self.key = folder / "key.pem"
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", str(self.key), "2048"], check=True, capture_output=True)
        (folder / "web").mkdir()
        self.running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def environment(self, service: str) -> dict[str, str]:
        """The service's settings on this platform."""
        ports = self.platform.ports
        settings = {
            name: self.platform.lead_to_database(value)
            .replace("127.0.0.1:5672", f"127.0.0.1:{ports['rabbitmq']}")
            .replace("127.0.0.1:8500", f"127.0.0.1:{ports['consul']}")
            for name, value in settings_file(self.files, service).items()
        }
        if "PRESIGNED_CERT" in settings:
            settings["PRESIGNED_CERT"] = str(self.key)
        return settings

    def start(
        self, service: str, *arguments: str, changes: dict[str, str] | None = None, speed: float = 20.0
    ) -> subprocess.Popen[bytes]:
        """A running stand-in with other settings by name; `speed` divides its retry times. Its words are in `<service>.log`."""
        row = BEHAVIOURS[service]
        program = self.program(row.binary)
        unit = self.files[f"/etc/systemd/system/{row.unit}.service"]
        command = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).partition("=")[2]
        command = re.sub(r"\{\{address:[^}]*\}\}", ADDRESS, command)
        command = command.replace("/var/lib/webitel/public-html", str(self.folder / "web"))
        words = [str(program), *command.split()[1:], *arguments]
        environment = {
            "PATH": os.environ["PATH"],
            "SANDBOX_SPEED": str(speed),
            "SANDBOX_FLAPS": "0",
            **self.environment(service),
            **(changes or {}),
        }
        with (self.folder / f"{service}.log").open("ab") as log:
            process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        self.running.append((service, process))
        return process

    def program(self, binary: str) -> Path:
        """A binary with the vendor's name, written once: services share binaries, and one that is just starting would read an
        emptied file, run nothing and exit with status 0."""
        program = self.folder / binary
        if not program.exists():
            program.write_text(LAUNCHER.format(library=ROOT / "sandbox", module="program", argument=f'"{binary}"'))
            program.chmod(0o755)
        return program

    def ended(self) -> dict[str, str]:
        """Service -> exit status and last words, where its latest process has ended; nothing restarts it here."""
        latest = dict(self.running)
        return {
            name: f"ended with status {process.returncode}: {self.log(name)[-500:].strip() or 'without a word'}"
            for name, process in latest.items()
            if process.poll() is not None
        }

    def log(self, service: str) -> str:
        """What a stand-in has said."""
        return (self.folder / f"{service}.log").read_text()

    def end(self, process: subprocess.Popen[bytes], seconds: float = 15.0) -> int:
        """SIGTERM and the exit status."""
        process.send_signal(signal.SIGTERM)
        return process.wait(seconds)

    def close(self) -> None:
        """Kills what still runs."""
        for _, process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()
