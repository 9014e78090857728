"""FreeSWITCH's stand-in alone, as an ordinary process on addresses of the loopback, with the node's own files."""

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from cloud_init.bundles import bundle_folder
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan
from tests.sandbox.flow import Flow
from tests.sandbox.platform import PYTHON, ROOT
from tests.sandbox.telephony import Consul
from tests.waiting import wait_until

CALLER = "127.0.78.9"
"""Where calls come from."""

PASSWORD = "event-password"


class Media:
    """The program and what it needs; `change` edits a file of its configuration before the start.

    `network`, three numbers of an address, keeps two of them apart: `.1` stands for the node, `.2` for its 127.0.0.1.
    """

    def __init__(self, folder: Path, network: str, change: Callable[[str, str], str] = lambda name, text: text) -> None:
        self.folder = folder
        self.node, self.loopback = f"{network}.1", f"{network}.2"
        for name in ("conf", "mod", "run"):
            (folder / name).mkdir()
        settings = load_deployment("local-single").settings
        plan = make_plan(settings, "local-single")
        files = compose_configuration(plan, plan.node("all-1"), settings).files
        texts = {name: files[f"/etc/freeswitch/{name}"] for name in ("freeswitch.xml", "vars.xml")}
        texts |= {path.name: path.read_text() for path in bundle_folder("freeswitch").iterdir()}
        for name, text in texts.items():
            (folder / "conf" / name).write_text(change(name, self.fill(text)))
        for module in re.findall(r'module="(mod_\w+)"', texts["modules.xml"]):
            (folder / "mod" / f"{module}.so").touch()
        self.consul = Consul((self.loopback, 8500))
        threading.Thread(target=self.consul.serve_forever, daemon=True).start()
        self.flow: Flow | None = self.start_flow()
        self.process = self.start()

    def fill(self, text: str) -> str:
        """Addresses and passwords of these tests in the place of a node's."""
        text = text.replace("/usr/share/webitel/bundles/freeswitch", str(self.folder / "conf"))
        text = re.sub(r"\{\{address:[^}]*\}\}", self.node, text)
        text = re.sub(r"\{\{secret:([^}]*)\}\}", lambda found: PASSWORD if found[1] == "esl_password" else "secret", text)
        return re.sub(r"127\.0\.0\.1\b(?!/32)", self.loopback, text)

    def start(self) -> "subprocess.Popen[bytes]":
        """In the foreground, until it is up."""
        flags = [word for name in ("conf", "mod", "run") for word in (f"-{name}", str(self.folder / name))]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                self.command("program", "-nf", *flags),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=ROOT / "sandbox",
                env=os.environ | {"SANDBOX_SPEED": "20"},
                start_new_session=True,
            )

        def is_up() -> bool:
            assert process.poll() is None, self.log()[-2000:]
            return "is up" in self.log()

        wait_until(is_up, 10, "FreeSWITCH's stand-in")
        return process

    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text(errors="replace")

    def command(self, module: str, *arguments: str) -> list[str]:
        """A program of the stand-in, on the machine's own Python as on a node."""
        return [PYTHON, "-c", f"import sys; from standin.freeswitch.{module} import main; sys.exit(main())", *arguments]

    def fs_cli(self, command: str) -> str:
        """One command over the event socket."""
        return subprocess.run(
            self.command("client", "-H", self.loopback, "-p", PASSWORD, "-x", command),
            cwd=ROOT / "sandbox",
            capture_output=True,
            text=True,
            check=True,
            timeout=40,
        ).stdout

    def start_flow(self, greeting: bytes = b"connect\n\n") -> Flow:
        """Flow Manager."""
        return Flow((self.loopback, 10030), greeting)

    def lose_flow(self) -> None:
        """Nobody listens where Flow Manager did."""
        if self.flow:
            self.flow.close()
        self.flow = None

    def close(self) -> None:
        """Ends everything."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.lose_flow()
        self.consul.shutdown()
        self.consul.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)
