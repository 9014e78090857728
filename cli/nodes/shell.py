"""An interactive SSH session by the system's own `ssh`, which knows terminals; keys in a folder that goes with it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from cli.console import Failure, progress
from cli.nodes.access import Access, NodeAccess
from components.ssh import Bastion, Hop, Target


def run_ssh(access: Access, node: NodeAccess, command: list[str]) -> int:
    """Open a shell on a node, or run a command there; returns its exit status."""
    ssh = find_ssh()
    with tempfile.TemporaryDirectory(prefix="webitel-ssh-") as folder:
        config = write_config(access, node, Path(folder))
        # One argument, quoted: ssh joins arguments with blanks and the node's shell would split them anew.
        remote = [shlex.join(command)] if command else []
        return subprocess.run([ssh, "-F", str(config), node.key, *remote], check=False).returncode


def find_ssh() -> str:
    """Return the path of `ssh`, which root gets installed where it is missing."""
    from tools.host.apt import has_apt, install

    if not shutil.which("ssh") and os.geteuid() == 0 and has_apt():
        install(["openssh-client"], progress)
    ssh = shutil.which("ssh")
    if not ssh:
        raise Failure("the program ssh is missing: sudo apt install openssh-client")
    return ssh


def write_config(access: Access, node: NodeAccess, folder: Path) -> Path:
    """Return the configuration for one session: the deployment's key, pinned host keys, the first jump host that answers."""
    key = folder / "key"
    key.touch(0o600)
    key.write_text(access.private_key.rstrip("\n") + "\n")
    target = node.target
    hosts: dict[str, Hop] = {node.key: target}
    if not target.ssh_via:
        hosts |= {name_hop(access, hop): hop for hop in target.via}
    (folder / "known_hosts").write_text(
        "".join(
            f"{name} {' '.join(access.pins[host.machine_id].split()[:2])}\n"
            for name, host in hosts.items()
            if host.machine_id in access.pins
        )
    )
    lines = []
    for name, host in hosts.items():
        lines += [
            f"Host {name}",
            f"  HostName {host.address}",
            f"  User {target.user}",
            f"  HostKeyAlias {name}",
            f"  IdentityFile {key}",
            f"  UserKnownHostsFile {folder / 'known_hosts'}",
        ]
    lines += [
        "Host *",
        "  IdentitiesOnly yes",
        "  StrictHostKeyChecking yes",
        "  LogLevel ERROR",
        "  ServerAliveInterval 15",
        "  ConnectTimeout 6",
    ]
    config = folder / "config"
    if ways := list_ways(config, access, target):
        # ssh itself tries one jump host only; `||` tries the next.
        lines.insert(1, f"  ProxyCommand sh -c {shlex.quote(' || '.join(ways))}")
    config.write_text("\n".join(lines) + "\n")
    return config


def name_hop(access: Access, hop: Hop) -> str:
    """Return the key of a node that others are reached through, or the id of a machine that is none."""
    return next((node.key for node in access.nodes.values() if node.target.machine_id == hop.machine_id), hop.machine_id)


def list_ways(config: Path, access: Access, target: Target) -> list[str]:
    """Return the commands that connect through a jump host; the user's own bastion uses the user's own configuration."""
    if not target.ssh_via:
        return [f"ssh -F {config} -W %h:%p {name_hop(access, hop)}" for hop in target.via]
    bastion = Bastion.parse(target.ssh_via)
    port = f"-p {bastion.port} " if bastion.port else ""
    return [f"ssh -W %h:%p {port}{shlex.quote(f'{bastion.user}@{bastion.host}' if bastion.user else bastion.host)}"]
