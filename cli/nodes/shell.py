"""An interactive SSH session by the system's own `ssh`, which knows terminals; keys in a folder that goes with it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from cli.console import Failure
from cli.nodes.access import Access, NodeAccess, split_bastion


def run_ssh(access: Access, node: NodeAccess, command: list[str]) -> int:
    """Open a shell on a node, or run a command there; returns its exit status."""
    ssh = shutil.which("ssh")
    if not ssh:
        raise Failure("the program ssh is missing: apt install openssh-client")
    with tempfile.TemporaryDirectory(prefix="webitel-ssh-") as folder:
        config = write_config(access, node, Path(folder))
        # One argument, quoted: ssh joins arguments with blanks and the node's shell would split them anew.
        remote = [shlex.join(command)] if command else []
        return subprocess.run([ssh, "-F", str(config), node.key, *remote], check=False).returncode


def write_config(access: Access, node: NodeAccess, folder: Path) -> Path:
    """The configuration for one session: the deployment's key, pinned host keys, the first jump host that answers."""
    key = folder / "key"
    key.touch(0o600)
    key.write_text(access.private_key.rstrip("\n") + "\n")
    hosts = {node.key: node}
    jumps = [access.at(address) for address in node.via]
    hosts |= {jump.key: jump for jump in jumps if jump}
    (folder / "known_hosts").write_text(
        "".join(f"{name} {' '.join(host.host_key.split()[:2])}\n" for name, host in hosts.items()))
    lines = []
    for name, host in hosts.items():
        lines += [f"Host {name}", f"  HostName {host.address}", f"  User {host.user}", f"  HostKeyAlias {name}",
                  f"  IdentityFile {key}", f"  UserKnownHostsFile {folder / 'known_hosts'}"]
    lines += ["Host *", "  IdentitiesOnly yes", "  StrictHostKeyChecking yes", "  LogLevel ERROR",
              "  ServerAliveInterval 15", "  ConnectTimeout 6"]
    config = folder / "config"
    if node.via:
        # ssh itself tries one jump host only; `||` tries the next.
        ways = " || ".join(jump_command(config, access, address) for address in node.via)
        lines.insert(1, f"  ProxyCommand sh -c {shlex.quote(ways)}")
    config.write_text("\n".join(lines) + "\n")
    return config


def jump_command(config: Path, access: Access, address: str) -> str:
    """The command that connects through one jump host; the user's own bastion uses the user's own configuration."""
    hop = access.at(address)
    if hop:
        return f"ssh -F {config} -W %h:%p {hop.key}"
    user, host, port = split_bastion(address)
    return f"ssh -W %h:%p -p {port} {shlex.quote(f'{user}@{host}')}"
