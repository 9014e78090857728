"""Accounts of persons beside the deployment's own: each logs in under a name of its own, and sudo logs that name.

Their keys are files of the configuration, and so is what sudo lets the group do. Whoever is in `GROUP` has such an account; one
that is left out of the setting is taken out of the group and can log in no more, while its files stay.
"""

import grp
import pwd
import shutil
from collections.abc import Iterable

from .. import install
from ..system import ApplyError, Tell, run

GROUP = "webitel-operators"
SHELL, NO_SHELL = "/bin/bash", "/usr/sbin/nologin"
FIRST_PERSON_ID = 1000
"""Debian's accounts with a lower number belong to programs."""


def prepare(names: Iterable[str], tell: Tell) -> list[str]:
    """Make the accounts of these names, and close those of nobody else's; return what was done."""
    wanted, present = sorted(names), list_members()
    if not wanted and present is None:
        return []
    done = []
    if present is None:
        if not shutil.which("visudo"):
            install.run_apt(["install", "--no-install-recommends", "sudo"], "sudo", 1)
        change("groupadd", "--system", GROUP)
    for name in sorted(set(present or ()) - set(wanted)):
        tell("accounts", f"close the account {name}")
        close(name)
        done.append(f"closed {name}")
    for name in wanted:
        found = find(name)
        if found and found.pw_uid < FIRST_PERSON_ID:
            raise ApplyError(f"webitel:operator_accounts.{name}: this node has a program's account of that name; use another one")
        if found and name in (present or ()) and found.pw_shell == SHELL:
            continue
        tell("accounts", f"account {name}")
        if not found:
            change("useradd", "--create-home", "--password", "*", "--comment", "Webitel operator", name)
        # `*` is a password that nothing matches; an empty date takes an end away.
        change("usermod", "--append", "--groups", GROUP, "--shell", SHELL, "--expiredate", "", name)
        done.append(f"account {name}")
    return done


def close(name: str) -> None:
    """Let a person in no more, by any way, and end what that person has open."""
    change("usermod", "--shell", NO_SHELL, "--expiredate", "1", name)
    change("gpasswd", "--delete", name, GROUP)
    # Fails where nothing is open.
    run(["loginctl", "terminate-user", name])
    if left := run(["pgrep", "--euid", name]).stdout.split():
        run(["kill", "-KILL", *left])


def list_members() -> list[str] | None:
    """List who has such an account; None before there was the first."""
    try:
        return grp.getgrnam(GROUP).gr_mem
    except KeyError:
        return None


def find(name: str) -> pwd.struct_passwd | None:
    """Find an account by its name."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def change(*command: str) -> None:
    """Run a program that changes accounts; raise ApplyError with its words where it fails."""
    done = run(list(command))
    if done.returncode != 0:
        raise ApplyError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")
