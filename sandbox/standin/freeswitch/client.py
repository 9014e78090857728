"""`fs_cli`: one command over the event socket; 255 when it cannot connect or log in, else 0 whatever the command says."""

import argparse
import socket
import sys
from pathlib import Path
from typing import BinaryIO

PROFILE = Path("/etc/fs_cli.conf")


def read_profile(path: Path) -> dict[str, str]:
    """`name => value` lines of the profile."""
    if not path.exists():
        return {}
    pairs = (line.partition("=>") for line in path.read_text().splitlines())
    return {name.strip(): value.strip() for name, arrow, value in pairs if arrow}


def read_block(stream: BinaryIO) -> dict[str, str]:
    """Header lines up to an empty one; a closed connection is an OSError."""
    found: dict[str, str] = {}
    while True:
        line = stream.readline()
        if not line:
            raise OSError("closed")
        text = line.decode().strip()
        if not text:
            return found
        name, _, value = text.partition(": ")
        found[name] = value


def main() -> int:
    """Runs `-x COMMAND`."""
    parser = argparse.ArgumentParser("fs_cli", allow_abbrev=False)
    profile = read_profile(PROFILE)
    parser.add_argument("-H", "--host", default=profile.get("host", "127.0.0.1"))
    parser.add_argument("-P", "--port", type=int, default=int(profile.get("port", "8021")))
    parser.add_argument("-p", "--password", default=profile.get("password", "ClueCon"))
    parser.add_argument("-x", "--execute", required=True)
    given = parser.parse_args()
    try:
        with socket.create_connection((given.host, given.port), 5) as connection, connection.makefile("rb") as stream:
            read_block(stream)
            connection.sendall(f"auth {given.password}\n\n".encode())
            if not read_block(stream).get("Reply-Text", "").startswith("+OK"):
                raise OSError("refused")
            connection.sendall(f"api {given.execute}\n\n".encode())
            head = read_block(stream)
            print(stream.read(int(head.get("Content-Length", "0"))).decode(), end="")
    except OSError:
        print("[ERROR] fs_cli.c:1699 main() Error Connecting []", file=sys.stderr)
        return 255
    return 0
