"""The steps of a restore as commands, which the command line on the operator's machine asks for in turn."""

import json

from ..ask.consul import ConsulError
from ..manifest import Manifest
from ..system import Tell
from . import recordings, recovery, restore
from .repository import BackupError

STEPS = ("check", "prepare", "hold", "ready", "stop", "stop-database", "place", "follow", "start", "recordings")


def run(step: str, at: str, manifest: Manifest, tell: Tell) -> int:
    """Run one step; print {"error"} where it could not be done."""
    try:
        moment = recovery.parse_time(at) if at else ""
        if step == "check":
            print(json.dumps(restore.check(manifest)))
        elif step == "prepare":
            recovery.prepare(manifest, moment, tell)
        elif step == "hold":
            restore.hold(manifest, moment, tell)
        elif step == "ready":
            restore.ready(moment)
        elif step == "stop":
            restore.stop_callers(manifest, tell)
        elif step == "stop-database":
            restore.stop_database(moment, tell)
        elif step == "place":
            restore.place(manifest, moment, tell)
        elif step == "follow":
            restore.follow(manifest, moment, tell)
        elif step == "recordings":
            recordings.bring_back(manifest, tell)
        else:
            restore.start(manifest, tell)
    except (BackupError, ConsulError, OSError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    return 0
