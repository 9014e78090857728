"""The daemon of Incus: found, or installed and started."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tools.host.apt import install, require_root
from tools.host.fetching import Progress, SetupError
from tools.host.locks import cache_folder, lock
from tools.incus import api
from tools.incus.apt import install_incus
from tools.incus.limits import raise_limits

_PROGRAMS = ("/usr/libexec/incus/incusd", "/opt/incus/bin/incusd")  # Debian and Ubuntu; the Zabbly packages
_SYSTEMD = Path("/run/systemd/system")  # exists where systemd is process 1
_START_SECONDS = 60
_STOP_SECONDS = 60
_HANDED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG")
"""What the daemon gets of our environment, with proxies, certificates and its own variables. It outlives who started it: a
temporary folder of theirs may be gone when it unpacks an image, and their passwords are none of its business."""
_BRIDGE_PROGRAM = "dnsmasq"  # Incus asks for its version before it makes any bridge, also one that runs none


def ensure_incus(progress: Progress) -> None:
    """Wait until Incus answers: a running one is taken as it is, a missing one is installed and started.

    Raises SetupError with what to do: not root, not to be installed (apt's words), not starting (its last log lines).
    """
    if not is_answering():
        require_root("Incus does not run yet; starting it")
        with lock(cache_folder() / "incus.lock", "starting Incus", progress):
            if not is_answering():  # another run may have started it meanwhile
                if find_program() is None:
                    install_incus(progress)
                start_incus(progress)
    if refused := raise_limits():
        progress(f"more than ten containers may not start: root must raise {', '.join(refused)} of this host")
    if shutil.which(_BRIDGE_PROGRAM) is None:
        install(["dnsmasq-base"], progress)


def is_answering() -> bool:
    """Tells whether a daemon serves this user."""
    try:
        api.call("GET", "")
    except api.IncusError as error:
        if isinstance(error.__cause__, PermissionError):
            raise SetupError(
                f"Incus runs, but {api.socket_path()} is not open to you: run as root (sudo ./webitel up), "
                "or join its group: sudo usermod -aG incus-admin $USER, and log in again"
            ) from error
        return False
    return True


def find_program() -> str | None:
    """Return the path of `incusd`, None where Incus is not installed."""
    return shutil.which("incusd") or next((program for program in _PROGRAMS if Path(program).exists()), None)


def start_incus(progress: Progress) -> None:
    """Start the installed daemon and wait until it answers."""
    require_root("Starting Incus")
    progress("starting Incus")
    if _SYSTEMD.exists() and "INCUS_DIR" not in os.environ:  # the unit's daemon serves the usual folder only
        done = subprocess.run(["systemctl", "start", "incus.service"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetupError(f"Incus does not start: {done.stderr.strip()}; see: journalctl -u incus")
        process = None
    else:
        process = _start_in_background()
    deadline = time.monotonic() + _START_SECONDS
    while not is_answering():
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            why = "ended" if ended else f"does not answer within {_START_SECONDS} s"
            raise SetupError(f"Incus {why}; its last lines ({log_file()}):\n  " + "\n  ".join(_read_log(8)))
        time.sleep(0.1)


def _start_in_background() -> subprocess.Popen[bytes]:
    program = find_program()
    if program is None:
        raise SetupError("Incus was installed, but its daemon incusd is nowhere to be found")
    log_file().parent.mkdir(parents=True, exist_ok=True)
    with log_file().open("ab") as log:
        process = subprocess.Popen(
            # Its machines would be as nice as who started it: FreeSWITCH, which wants to be a real-time process, may not then.
            ["nice", "-n", str(-os.getpriority(os.PRIO_PROCESS, 0)), program, "--group", "root"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={name: value for name, value in os.environ.items() if _is_handed_on(name)},
        )
    _pid_file().write_text(str(process.pid))
    return process


def _is_handed_on(name: str) -> bool:
    return name in _HANDED_ON or name.startswith(("INCUS_", "LC_", "SSL_CERT_")) or name.lower().endswith("_proxy")


def stop_incus(progress: Progress) -> bool:
    """Stop the daemon if we started it in the background, and its containers with it; tell whether it did."""
    pid = _find_own_daemon()
    if pid is None:
        return False
    progress("stopping Incus")
    os.kill(pid, signal.SIGPWR)  # what `incus admin shutdown` does: containers first, then the daemon
    deadline = time.monotonic() + _STOP_SECONDS
    while _find_own_daemon():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # ours where this very process started it
        if time.monotonic() > deadline:
            raise SetupError(f"Incus (process {pid}) does not stop within {_STOP_SECONDS} s; see {log_file()}")
        time.sleep(0.1)
    _pid_file().unlink(missing_ok=True)
    return True


def _find_own_daemon() -> int | None:
    if not _pid_file().exists():
        return None
    pid = int(_pid_file().read_text())
    command = Path(f"/proc/{pid}/cmdline")
    return pid if command.exists() and b"incusd" in command.read_bytes() else None


def log_file() -> Path:
    """Log of the daemon that we start."""
    return _state_directory() / "incusd.log"


def _pid_file() -> Path:
    return _state_directory() / "incusd.pid"


def _state_directory() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "webitel"


def _read_log(lines: int) -> list[str]:
    return log_file().read_text(errors="replace").splitlines()[-lines:] if log_file().exists() else []
