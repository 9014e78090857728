"""The steps of a restore as commands, which the command line on the operator's machine asks for in turn."""

import json
import sys

from .. import quiet
from ..manifest import Manifest
from ..system import Tell, Unhealthy
from . import elsewhere, recordings, recovery, restore
from .repository import BackupError

STEPS = ("check", "prepare", "hold", "ready", "leave-out", "stop", "stop-database", "place", "follow", "start", "recordings")
FROM_ELSEWHERE = ("source", "look", "prepare-source", "quiet", "recordings-source", "settle", "forget", "tell-quiet", "go-live")
"""Of a restore from another deployment's bucket."""


def run(step: str, at: str, manifest: Manifest, tell: Tell) -> int:
    """Run one step; print {"error"} where it could not be done."""
    try:
        moment = recovery.parse_time(at) if at else ""
        if step in FROM_ELSEWHERE:
            with elsewhere.translated():
                run_from_elsewhere(step, moment, manifest, tell)
        elif step == "check":
            print(json.dumps(restore.check(manifest)))
        elif step == "prepare":
            recovery.prepare(manifest, moment, tell)
        elif step == "hold":
            restore.hold(manifest, moment, tell)
        elif step == "ready":
            restore.ready(moment)
        elif step == "leave-out":
            restore.leave_out(sys.stdin.read().split(), moment, tell)
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
    except (BackupError, Unhealthy, OSError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    return 0


def run_from_elsewhere(step: str, moment: str, manifest: Manifest, tell: Tell) -> None:
    """Run one step of a restore from another deployment's bucket, or of what comes after it."""
    if step == "source":
        elsewhere.keep(manifest, sys.stdin.read())
    elif step == "look":
        print(json.dumps(elsewhere.look(manifest)))
    elif step == "prepare-source":
        recovery.prepare(manifest, moment, tell, elsewhere.read())
    elif step == "quiet":
        quiet.begin(manifest, sys.stdin.read().strip(), moment, tell)
    elif step == "recordings-source":
        recordings.bring_back(manifest, tell, elsewhere.where(), elsewhere.read())
    elif step == "settle":
        quiet.advance(quiet.WHOLE)
    elif step == "tell-quiet":
        print(json.dumps(quiet.read()))
    elif step == "go-live":
        quiet.end(manifest, tell)
    if step in ("settle", "forget", "go-live"):
        elsewhere.forget()
