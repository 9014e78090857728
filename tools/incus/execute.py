"""Running a command in a container, with everything that it prints.

`incus exec` now and then loses the output of a command that ends at once (seen with 6.0.4): here Incus itself writes
the output into files, which are read when the command is over.
"""

import subprocess
import uuid
from collections.abc import Sequence

from tools.incus import api

_ENVIRONMENT = {
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "USER": "root",
}
_STREAMS = ("1", "2")


def run(name: str, command: Sequence[str], text: str = "", *, pause: api.Pause | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command as root with `text` as its standard input; return its exit status and what it printed.

    Raises IncusError when it cannot be run, because the container is stopped, say. `pause` may raise to give up; the
    command goes on then.
    """
    waits = {"pause": pause} if pause else {}
    source = f"/run/webitel-input-{uuid.uuid4().hex}"
    argv = list(command)
    if text:
        api.write_file(name, source, text.encode())
        argv = ["sh", "-c", 'exec <"$0"; rm "$0"; exec "$@"', source, *command]
    body = {"command": argv, "environment": _ENVIRONMENT, "record-output": True}
    done = api.call("POST", f"{api.instance_path(name)}/exec", body, **waits)
    recorded = {stream: path.removeprefix("/1.0") for stream, path in done["output"].items()}
    output, errors = (api.read_file(recorded[stream]).decode(errors="replace") for stream in _STREAMS)
    for path in recorded.values():
        api.remove(path)
    return subprocess.CompletedProcess(argv, done["return"], output, errors)
