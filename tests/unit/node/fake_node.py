"""A node that exists as a folder: the real node program applies real configurations, every other program is made up.

systemd, dpkg, apt, blkid and their kin are `FakeNode.answer`; `asked` has what they were told to do. Absolute paths of a
configuration lead into the folder, whoever owns them there.
"""

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloud_init.compose import Configuration
from cloud_init.node import install, manifest, owed, state, turns
from cloud_init.node.apply import configuration, drain, drift, files, guard, identity, keys, units
from cloud_init.node.clusters import broker_cluster, database_cluster, locks, trust
from cloud_init.node.health import kept_calls, machine, status
from cloud_init.node.report import CONFIRM, Applied
from cloud_init.node.storage import disks

OWNER = pwd.getpwuid(os.getuid()).pw_name
ADDRESS, SECRET = "10.0.0.9", "a-secret"
QUIET = ("show", "is-active", "is-enabled", "list-unit-files")
"""What systemctl is asked without anything being done."""


class FakeNode:
    """`asked` since the last application; `units` by name: whether each is active; `packages` by name: the version.

    `packaged` has the units that a package enables at its first installation,
    `obstacle` says why rtpengine's calls would not come back, `refuses` says of a file's path whether its own program finds fault
    with it, `log_in` is what the host does when it is to log in anew.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.asked = root, list[str]()
        self.units: dict[str, bool] = {"webitel-watch": False}
        self.enabled: set[str] = set()
        self.packages: dict[str, str] = {}
        self.offered: dict[str, str] = {}
        self.mounted: set[str] = set()
        self.packaged: dict[str, list[str]] = {}
        self.refuses: Callable[[str], bool] = lambda path: False
        self.obstacle = ""
        self.log_in: Callable[[], None] = guard.confirm
        places = {
            "MANIFEST": "etc/webitel/node.json",
            "STATE": "var/state.json",
            "LOCK": "run/apply.lock",
            "PROGRAM": "lib/node",
            "BUNDLES": "share/bundles",
            "PROBE_SECRETS": "etc/webitel/probe.json",
            "WRAPPER": "sbin/webitel-node",
            "SANDBOX": "var/sandbox",
            "SOURCES": "etc/sources",
            "PLAN": "etc/webitel/packages.json",
            "PROGRESS": "run/install.json",
            "HELD": "run/locks",
            "CONFIGURED": "etc/webitel/node.json",
            "UNIT_FILES": "etc/systemd/system",
            "UNSYNCED": "var/unsynced",
            "DATABASE": "var/dpkg",
            "BESIDE": "run/dpkg",
            "SETTINGS": "etc",
            "ARMED": "var/guard/armed",
            "REVERTING": "var/guard/reverting",
            "REVERTED": "var/guard/reverted",
            "PUT_OFF": "run/put-off",
            "WRITING": "run/writing.lock",
            "OWED": "var/owed.json",
        }
        for module in (manifest, state, configuration, drift, status, install, locks, units, guard, kept_calls, turns, owed):
            for name, place in places.items():
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, root / place)
        monkeypatch.setattr(trust, "IN_USE", root / "etc/webitel/trust.json")
        for folder in ("etc/webitel", "etc/sources", "run", "sbin", "lib"):
            (root / folder).mkdir(parents=True)
        monkeypatch.setattr(configuration, "PACKAGE_FILES", (str(root / "etc/webitel/packages.json"),))
        monkeypatch.setattr(install, "prepare_sources", lambda plan: None)
        monkeypatch.setattr(install, "run_apt", self.run_apt)
        monkeypatch.setattr(install, "POLICY", root / "policy")
        monkeypatch.setattr(identity, "correct", lambda manifest, tell: [])
        monkeypatch.setattr(keys, "list_homes", lambda: {"root": root / "root"})
        # Who logs in here is root, and the plan's files are made for another user.
        monkeypatch.setattr(keys, "OPERATORS_FOLDER", root / "etc/ssh/elsewhere.d")
        monkeypatch.setattr(shutil, "chown", lambda *_: None)
        # No test ends the machine, and a disk takes its time.
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
        monkeypatch.setattr(status, "ask", lambda *_, **__: {"services": []})
        monkeypatch.setattr(subprocess, "run", self.run)
        monkeypatch.setattr(units, "drain", lambda own, tell: self.asked.append("let calls end"))
        monkeypatch.setattr(units, "admit", lambda own: self.asked.append("let calls in"))
        monkeypatch.setattr(kept_calls, "describe_obstacle", lambda own: self.obstacle)
        monkeypatch.setattr(drain, "Switch", None)
        monkeypatch.setattr(machine, "GROWTH", root / "growth.json")
        for module, step in ((database_cluster, "step_down"), (broker_cluster, "drain")):
            assert getattr(module, step) in units.BEFORE_RESTART.values()
        monkeypatch.setattr(units, "BEFORE_RESTART", {})
        monkeypatch.setattr(disks, "is_mounted", lambda mount: mount in self.mounted)
        monkeypatch.setattr(disks, "FSTAB", self.root / "fstab")
        monkeypatch.setattr(disks, "DEVICES", str(self.root))

    def apply(self, made: Configuration, key: str = "ssh-ed25519 AAAAfirst", disruptive: bool = False) -> Applied:
        """Bring the node to what was composed; at the first time nothing is waited for, as `provider/configuration.py` has it."""
        update = (self.root / "var/state.json").exists()
        self.asked.clear()
        incoming = self.root / "run/incoming"
        for bundle in made.bundles:
            (incoming / bundle).mkdir(parents=True)
            (incoming / bundle / "digest").write_text(made.bundles[bundle])
        self.offered = {name: entry["version"] for name, entry in made.manifest["versions"].items()}
        sent = self.relocate(made, key)
        if disruptive:
            sent["configuration"]["disruptive"] = True
        for name, document in sent.items():
            (incoming / f"{name}.json").write_text(json.dumps(document))
        return configuration.run(incoming, update, lambda step, text: self.log_in() if step == CONFIRM else None)

    def relocate(self, made: Configuration, key: str) -> dict[str, Any]:
        """What the provider sends, with every path in the folder of this node."""
        own = json.loads(json.dumps(made.manifest))
        for entry in (*own["disks"], *own["directories"]):
            for name in ("mount", "path"):
                if name in entry:
                    entry[name] = f"{self.root}{entry[name]}"
            if "owner" in entry:
                entry["owner"] = OWNER
        devices = {disk["purpose"]: str(self.root / f"dev-{disk['purpose']}") for disk in own["disks"]}
        for device in devices.values():
            Path(device).touch()
        texts = json.dumps([made.files, own])
        named = {
            kind: {name for found, name in files.PLACEHOLDER.findall(texts) if found == kind} for kind in ("address", "secret")
        }
        sent = {
            "files": {f"{self.root}{path}": text for path, text in made.files.items()},
            "attributes": {
                f"{self.root}{path}": {**entry, "owner": OWNER, "check": f"check {path} {{path}}" if entry.get("check") else ""}
                for path, entry in made.attributes.items()
            },
            "manifest": own,
            "bundles": made.bundles,
            "devices": devices,
            "login": {"user": "root", "key": key},
        }
        return {
            "configuration": sent,
            "addresses": dict.fromkeys(named["address"], ADDRESS),
            "secrets": dict.fromkeys({*named["secret"], *made.manifest["probe_secrets"]}, SECRET),
        }

    def run(self, command: list[str], **more: Any) -> subprocess.CompletedProcess[Any]:
        """Every program but apt-get."""
        returned, said = self.answer(command)
        return subprocess.CompletedProcess(command, returned, said, "")

    def answer(self, command: list[str]) -> tuple[int, str]:
        program, *arguments = command
        match program:
            case "systemctl":
                return self.systemctl([one for one in arguments if one not in ("--no-pager", "--no-ask-password", "-q")])
            case "dpkg-query":
                rows = [(name, self.packages[name]) for name in arguments if name in self.packages]
                held = "db:Status-Want" in " ".join(arguments)
                return 0, "".join(f"{name} hold installed {one}\n" if held else f"installed {name} {one}\n" for name, one in rows)
            case "apt-cache":
                return 0, "".join(f"{name} | {self.offered[name]} | x\n" for name in arguments if name in self.offered)
            case "dpkg":
                return 1, ""
            case "blkid":
                return (2, "") if "TYPE" in arguments else (0, "a-uuid")
            case "mkfs.ext4" | "mount":
                self.asked.append(f"{program} {Path(arguments[-1]).name}")
                self.mounted |= {arguments[-1]} if program == "mount" else set()
            case "sh" if arguments[-1].startswith("check "):
                return int(self.refuses(arguments[-1].split()[1].removeprefix(str(self.root)))), ""
            case "sh":
                self.asked.append(arguments[-1])
        return 0, ""

    def systemctl(self, arguments: list[str]) -> tuple[int, str]:
        verb, *rest = arguments
        flags, names = [one for one in rest if one.startswith("-")], [one.removesuffix(".service") for one in rest]
        names = [one for one in names if not one.startswith("-") and "=" not in one]
        if verb == "is-active":
            return 0, "\n".join("active" if self.units.get(name) else "inactive" for name in names)
        if verb == "is-enabled":
            return (0, "enabled") if set(names) <= self.enabled else (1, "disabled")
        if verb == "show" and "InvocationID" in names:
            return 0, str(sum(line == f"restart {names[-1]}" for line in self.asked))
        if verb == "show":
            return 0, "\n\n".join(f"Id={name}.service\nUnitFileState=enabled" for name in names if "," not in name)
        if verb == "list-unit-files" and "--state=enabled" in flags:
            return 0, "".join(f"{one} enabled enabled\n" for one in rest if one.removesuffix(".service") in self.enabled)
        if verb in QUIET:
            return 0, ""
        if verb in ("start", "restart", "reload-or-restart"):
            self.units |= dict.fromkeys(names, True)
        if verb in ("stop", "disable"):
            self.units |= dict.fromkeys(names, False) if verb == "stop" or "--now" in flags else {}
            self.enabled -= set(names)
        if verb == "enable":
            self.enabled |= set(names)
        self.asked.append(" ".join([verb, *flags, *names]))
        return 0, ""

    def run_apt(self, arguments: list[str], step: str, total: int, forces: tuple[str, ...] = ()) -> None:
        """Have apt install the packages named."""
        if "install" in arguments:
            wanted = [one.partition("=") for one in arguments[arguments.index("install") + 1 :] if not one.startswith("-")]
            fresh: Mapping[str, str] = {name: version or "1" for name, _, version in wanted}
            self.enabled |= {unit for name in fresh.keys() - self.packages.keys() for unit in self.packaged.get(name, ())}
            self.packages |= fresh
            self.asked.append("install " + " ".join(sorted(fresh)))
