"""Steps that fetch something: each is tried again, and one that fails for good names the step, the host and the way on."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

Progress = Callable[[str], None]
Done = subprocess.CompletedProcess[str]

PAUSES_SECONDS = (3.0, 10.0)
"""Between the tries of a step; one try more than there are pauses."""
_SHOWN_LINES = 8
_PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")
_NEVER = re.compile(r"(?!)")
_HOST = r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)"
_NAMED = re.compile(  # in the words of apt, pip, Go and Python
    rf"https?://(?:[^/@\s]+@)?{_HOST}|host='{_HOST}'|lookup {_HOST}[: ]|resolve '{_HOST}'|connect to {_HOST}:\d|"
    rf"resolving '{_HOST}'"
)


class SetupError(Exception):
    """This host lacks something; the message says what, and what to do."""


def _succeeded(done: Done) -> bool:
    return done.returncode == 0


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Done:
    """Run a command without input; the result has all that it printed."""
    return subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        cwd=folder,
        check=False,
    )


def fetch(
    step: str,
    execute: Callable[[], Done],
    progress: Progress,
    *,
    succeeded: Callable[[Done], bool] = _succeeded,
    hopeless: re.Pattern[str] = _NEVER,
    before_retry: Callable[[], object] = lambda: None,
    configured: Callable[[], Sequence[str]] = lambda: (),
) -> str:
    """Return what the command prints that `execute` runs, after several tries where it fails.

    `hopeless` finds the words after which another try is of no use; `configured` names the hosts that this machine is
    set up to ask, for a command whose words name none. Raises SetupError.
    """
    for pause in (*PAUSES_SECONDS, None):
        done = execute()
        if succeeded(done):
            return done.stdout
        said = done.stderr.strip() or done.stdout.strip()
        if hopeless.search(said):
            raise SetupError(f"{step} failed:\n{_shorten(said)}")
        if pause is not None:
            progress(f"{step} failed, next try in {pause:.0f} s")
            time.sleep(pause)
            before_retry()
    raise SetupError(explain(step, said, find_hosts(said) or list(configured())))


def explain(step: str, said: str, hosts: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """Return the message about a step that every try failed at."""
    asked = f" It asks {', '.join(hosts)}{_describe_proxy(environ)}." if hosts else ""
    reach = ", ".join(hosts) or "the package mirrors"
    return (
        f"{step} failed {len(PAUSES_SECONDS) + 1} times.{asked}\n{_shorten(said)}\n"
        f"Next: let this machine reach {reach} (mirror, proxy, firewall, DNS), then run the same command again: it resumes."
    )


def find_hosts(said: str) -> list[str]:
    """Return the hosts that an error names, in its order."""
    found = (name for match in _NAMED.finditer(said) for name in match.groups() if name)
    return list(dict.fromkeys(found))


def list_hosts(addresses: Sequence[str]) -> list[str]:
    """Return the hosts of some URLs, without user, password and port."""
    found = (urlsplit(address.strip()).hostname for address in addresses)
    return list(dict.fromkeys(host for host in found if host))


def hide_passwords(text: str) -> str:
    """Return the text with users and passwords cut out of its URLs."""
    return _PASSWORD.sub("", text)


def _describe_proxy(environ: Mapping[str, str]) -> str:
    name = next((name for name in _PROXIES if environ.get(name)), None)
    return f" (by the proxy {hide_passwords(environ[name])}, from {name})" if name else ""


def _shorten(said: str) -> str:
    return "\n".join(f"  {hide_passwords(line)}" for line in said.splitlines()[-_SHOWN_LINES:])
