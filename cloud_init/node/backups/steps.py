"""The steps of a restore as commands, which the command line on the operator's machine asks for in turn."""

import json

from ..ask.consul import ConsulError
from ..manifest import Manifest
from ..system import Tell
from . import recordings, restore
from .repository import BackupError

STEPS = ("check", "prepare", "stop", "stop-database", "place", "follow", "start", "recordings")


def run(step: str, at: str, manifest: Manifest, tell: Tell) -> int:
    """Run one step; print {"error"} where it could not be done."""
    try:
        moment = restore.parse_time(at) if at else ""
        if step == "check":
            print(json.dumps(restore.check(manifest)))
        elif step == "prepare":
            restore.prepare(manifest, moment, tell)
        elif step == "stop":
            restore.stop_callers(manifest, tell)
        elif step == "stop-database":
            restore.stop_database(tell)
        elif step == "place":
            restore.place(manifest, moment, tell)
        elif step == "follow":
            restore.follow(tell)
        elif step == "recordings":
            recordings.bring_back(manifest, tell)
        else:
            restore.start(manifest, tell)
    except (BackupError, ConsulError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    return 0
