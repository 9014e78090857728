"""The unit `webitel-records`: keeps records, and sends them where there is a target."""

import json
import pathlib
import threading

from . import keep, send

SETTINGS = pathlib.Path("/etc/webitel/records.json")


def run() -> int:
    """Run until the journal's reader ends; systemd starts it again."""
    settings = json.loads(SETTINGS.read_text())
    written = threading.Event()
    if settings["target"]:
        sender = send.Sender(settings["target"], settings["authority"])
        threading.Thread(target=send.run, args=(sender, written), daemon=True).start()
    else:
        send.STATE.unlink(missing_ok=True)
    return keep.run(settings["days"], written)
