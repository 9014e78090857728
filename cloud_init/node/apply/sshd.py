"""What sshd goes by: our settings, unless a file that it reads before ours says otherwise. It takes the first value of each."""

import pathlib

from ..system import run

OURS = pathlib.Path("/etc/ssh/sshd_config.d/60-webitel.conf")
SAME = {"prohibit-password": "without-password"}
"""Words that sshd shows by another one."""


def find_overruled() -> dict[str, str]:
    """Find settings of ours that another file overrules: what sshd goes by instead, by its name for the setting."""
    if not OURS.is_file():
        return {}
    shown = run(["sshd", "-T"])
    if shown.returncode != 0:
        return {"settings": f"cannot be read: {shown.stderr.strip()[-200:]}"}
    found = dict(read_settings(shown.stdout))
    wanted = read_settings(OURS.read_text())
    return {
        name: f"is {found.get(name, 'not set')}, not {value}: remove what says so in /etc/ssh/sshd_config or {OURS.parent}"
        for name, value in wanted
        if found.get(name) != SAME.get(value, value)
    }


def read_settings(text: str) -> list[tuple[str, str]]:
    """Read names, in small letters, and values."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    return [(name.lower(), " ".join(rest[0].split()) if rest else "") for name, *rest in pairs]
