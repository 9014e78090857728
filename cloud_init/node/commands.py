"""The commands of the node program."""

import argparse
import http
import json
import pathlib
import shutil
import subprocess
import sys

from . import (
    dump,
    install,
    load,
)
from .apply import (
    certificate,
    drain,
    drift,
    guard,
    host,
    host_leave,
    spare,
    units,
    versions,
)
from .apply import (
    configuration as apply,
)
from .ask import (
    media,
    trace,
    view,
)
from .backups import (
    jobs,
    recordings,
    steps,
    verify,
)
from .backups.repository import BackupError
from .clusters import (
    address_move,
    database_cluster,
    keeper,
    leaders,
    locks,
    mesh,
    newcomers,
)
from .health import (
    status,
    waiting,
    watch,
)
from .manifest import PROGRAM, load_manifest
from .records import daemon as records
from .records import who
from .storage import owners
from .system import ApplyError, Unhealthy


def main(arguments: list[str]) -> int:
    """Run one command; return 0 when it succeeded, or when what it asks for is so."""
    parser = argparse.ArgumentParser(prog="webitel-node", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("apply", help="bring the node to the configuration in a folder")
    command.add_argument("--update", action="store_true", help="return only when the changed services work again")
    command.add_argument("--incoming", type=pathlib.Path, default=pathlib.Path("/run/webitel/incoming"))
    command = commands.add_parser("take-host", help="do on a host that was given what cloud-init does on a machine that was made")
    command.add_argument("--incoming", type=pathlib.Path, required=True)
    commands.add_parser("leave-host", help="stop everything on a host that was given, and give its owner's files back")
    command = commands.add_parser("status", help="check every service of the node")
    command.add_argument("--json", action="store_true")
    command.add_argument("--brief", action="store_true", help="read the journal of the first failing service only")
    command = commands.add_parser("wait", help="wait until consul, postgresql, rabbitmq, disk:PATH or owner:PATH is available")
    command.add_argument("names", nargs="+")
    command = commands.add_parser("logs", help="show the last log lines of a service's units")
    command.add_argument("service", nargs="?")
    command.add_argument("--lines", type=int, default=100)
    command.add_argument("--since", default="", help="such as -10m, or 2026-01-31 12:00")
    command.add_argument("--grep", default="", help="only lines that match")
    command.add_argument("--stamped", action="store_true", help="seconds since 1970 in front of each line")
    command = commands.add_parser("fetch", help="GET a path from a listener on the private address")
    command.add_argument("port", type=int)
    command.add_argument("path")
    commands.add_parser("restart-databases", help="restart the cluster's databases that wait for a restart, followers first")
    command = commands.add_parser("leaders", help="show which node leads what")
    command.add_argument("--queue", default=load.QUEUE)
    command = commands.add_parser("load", help="write rows and messages until standard input ends (for drills)")
    command.add_argument("step", choices=("prepare", "write", "collect", "clean"))
    command.add_argument("--writer", default="near")
    command.add_argument("--direct", action="store_true", help="write to this node's own database and broker, bypassing HAProxy")
    command = commands.add_parser("dump", help="print logs, states and files as JSON, secrets included")
    command.add_argument("--lines", type=int, default=2000)
    commands.add_parser("confirm", help="keep a changed firewall or sshd: whoever says so has logged in by it")
    commands.add_parser("revert", help="take back a changed firewall or sshd by which nobody has logged in (runs as a unit)")
    command = commands.add_parser("drain", help="take no new calls, hand over services that move, and wait until no call is left")
    command.add_argument(
        "--restart", action="store_true", help="have other nodes lead the clusters too, for the machine restarts"
    )
    command = commands.add_parser("hand-over", help="hand over services that move, which this node may have again later")
    command.add_argument("--spare", action="store_true", help="only if all calls in progress go on elsewhere")
    command = commands.add_parser("admit", help="have Consul forget the former machine of a node that has a new one")
    command.add_argument("node")
    command = commands.add_parser("own", help="give everything in a directory to another user (runs as a unit)")
    command.add_argument("path", type=pathlib.Path)
    command.add_argument("owner")
    commands.add_parser("resume", help="take calls again after a drain")
    commands.add_parser("drift", help="print files, units and packages that were changed outside `webitel`, as JSON")
    commands.add_parser("locks", help="start services whose lock this node holds, stop the others (runs as a unit)")
    commands.add_parser("mesh", help="have what goes to other nodes go through WireGuard (runs as a unit)")
    commands.add_parser("move-address", help="have the cloud move the address of SIP to the node that has it (runs as a unit)")
    commands.add_parser("certificate", help="order the public certificate where it is due (runs as a unit, by a timer)")
    command = commands.add_parser("backup", help="back up what is due (runs as a unit, by a timer)")
    command.add_argument("--now", choices=("incr", "full"), default="", help="make a backup although none is due")
    command = commands.add_parser("verify-backups", help="read and compare all backups, where due (runs as a unit, by a timer)")
    command.add_argument("--now", action="store_true", help="although it is not due")
    commands.add_parser("backup-files", help="copy new recordings to the bucket (runs as a unit, by a timer)")
    commands.add_parser("backups", help="print the database's backups as JSON, on the node that leads it")
    command = commands.add_parser("restore", help="one step of bringing the database back to a second")
    command.add_argument("step", choices=(*steps.STEPS, *steps.FROM_ELSEWHERE))
    command.add_argument("--at", default="", help="the time, with its offset from UTC")
    commands.add_parser("versions", help="print versions of held packages, and newer ones that are available, as JSON")
    command = commands.add_parser("media", help="join two ends of audio in rtpengine until standard input ends (for smoke)")
    command.add_argument("address", help="of both ends")
    command.add_argument("ports", nargs=media.PORTS, type=int)
    command = commands.add_parser("trace", help="write SIP that passes this node to standard output until standard input ends")
    command.add_argument("--ports", nargs="+", type=int, required=True)
    command.add_argument("--seconds", type=float, required=True)
    command.add_argument("--bytes", type=int, required=True)
    command.add_argument("--number", default="")
    command.add_argument("--address", default="")
    commands.add_parser("watch", help="start dead services and carefully restart hung ones (runs as a unit)")
    commands.add_parser("records", help="keep and send the records of this node (a unit does)")
    options = parser.parse_args(arguments)
    who.record_command(options.command, arguments)
    if options.command == "apply":
        return run_apply(options.incoming, options.update)
    if options.command == "take-host":
        return run_take_host(options.incoming)
    if options.command == "leave-host":
        return run_leave_host()
    if options.command == "status":
        report = status.ask(brief=options.brief)
        print(json.dumps(report) if options.json else status.as_text(report))
        return 0 if report["healthy"] else 1
    if options.command == "wait":
        return waiting.wait_for(options.names)
    if options.command == "fetch":
        status_code, body = view.request(load_manifest()["address"], options.port, options.path)
        print(body)
        return 0 if status_code == http.HTTPStatus.OK else 1
    if options.command == "restart-databases":
        return database_cluster.restart_pending(lambda _, text: print(text, flush=True))
    if options.command == "leaders":
        return leaders.show(options.queue)
    if options.command == "load":
        return run_load(options.step, options.writer, options.direct)
    if options.command == "dump":
        print(json.dumps(dump.gather(options.lines)))
        return 0
    if options.command == "confirm":
        return run_confirm()
    if options.command == "revert":
        guard.revert()
        return 0
    if options.command == "drain":
        return run_drain(restart=options.restart)
    if options.command == "hand-over":
        return run_hand_over(only_spared=options.spare)
    if options.command == "admit":
        return run_admit(options.node)
    if options.command == "own":
        owners.own(options.path, options.owner)
        return 0
    if options.command == "resume":
        return run_resume()
    if options.command == "drift":
        return tell_drift()
    if options.command == "locks":
        return keeper.run()
    if options.command == "mesh":
        return mesh.follow()
    if options.command == "move-address":
        return address_move.run()
    if options.command == "certificate":
        return 0 if certificate.renew(load_manifest(), lambda _, text: print(text, flush=True)) else 1
    if options.command == "backup":
        return 0 if jobs.look(load_manifest(), lambda _, text: print(text, flush=True), options.now) else 1
    if options.command == "verify-backups":
        return 0 if verify.run(load_manifest(), lambda _, text: print(text, flush=True), options.now) else 1
    if options.command == "backup-files":
        return 0 if recordings.copy(load_manifest(), lambda _, text: print(text, flush=True)) else 1
    if options.command == "backups":
        return tell_backups()
    if options.command == "restore":
        return steps.run(options.step, options.at, load_manifest(), lambda _, text: print(text, flush=True))
    if options.command == "records":
        return records.run()
    if options.command == "media":
        return media.join(load_manifest(), options.address, options.ports)
    if options.command == "trace":
        return trace.run(options.ports, options.seconds, options.bytes, trace.Wanted(options.number, options.address))
    if options.command == "versions":
        return tell_versions()
    if options.command == "watch":
        return watch.run()
    return show_logs(options.service, options.lines, options.since, options.grep, stamped=options.stamped)


def run_load(step: str, writer: str, direct: bool) -> int:
    """Run one step of a drill's load."""
    steps = {"prepare": load.prepare, "collect": load.collect, "clean": load.clean}
    return load.run(writer, direct) if step == "write" else steps[step]()


def run_apply(incoming: pathlib.Path, update: bool) -> int:
    """Apply and speak JSON lines: progress, then the result or the error."""

    def tell(step: str, text: str) -> None:
        print(json.dumps({"step": step, "text": text}), flush=True)

    try:
        result = apply.run(incoming, update, tell)
    except ApplyError as error:
        print(json.dumps({"error": str(error), "unit": error.unit}), flush=True)
        return 1
    except OSError as error:  # a full disk, most of all
        print(json.dumps({"error": f"this node could not be configured: {error}", "unit": ""}), flush=True)
        return 1
    print(json.dumps({"result": result}), flush=True)
    return 0


def run_take_host(incoming: pathlib.Path) -> int:
    """Take a host that was given, and speak JSON lines: progress, then the error if there is one."""

    def tell(step: str, text: str) -> None:
        print(json.dumps({"step": step, "text": text}), flush=True)

    try:
        host.take(incoming, tell)
        if not PROGRAM.exists():
            # With it the host can be left by hand too.
            apply.stage_bundles(incoming, ["node"])
            apply.place_bundles(["node"])
    except ApplyError as error:
        print(json.dumps({"error": str(error), "unit": error.unit}), flush=True)
        return 1
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return 0


def run_leave_host() -> int:
    """Leave a host that was given, and say what stays."""
    try:
        kept = host_leave.leave(lambda _, text: print(text, file=sys.stderr, flush=True))
    except ApplyError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"left; what stays here: {', '.join(kept)}")
    return 0


def run_confirm() -> int:
    """Keep what waits for a log-in."""
    try:
        guard.confirm()
    except ApplyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run_drain(restart: bool) -> int:
    """Drain this node's FreeSWITCH, where it has one that runs, and have other nodes run what moves; before a restart of the
    machine have them lead what this one leads. What fails is taken back."""

    def tell(step: str, text: str) -> None:
        print(text, flush=True)

    manifest = load_manifest()
    running = {unit["service"] for unit in manifest["units"] if units.is_running(unit["name"])}
    try:
        if "freeswitch" in running:
            drain.drain(manifest, tell)
        if "locks" in running:
            locks.hand_over(manifest, tell)
        if restart:
            units.leave_clusters_to_others(manifest, tell)
    except ApplyError as error:
        run_resume()
        print(error, file=sys.stderr)
        return 1
    return 0


def run_hand_over(*, only_spared: bool) -> int:
    """Have other nodes run what moves."""
    try:
        spare.hand_over(load_manifest(), lambda _, text: print(text, flush=True), only_spared=only_spared)
    except ApplyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run_resume() -> int:
    """Take calls again, and let this node run what moves."""
    manifest = load_manifest()
    if any(service["name"] == "freeswitch" for service in manifest["services"]):
        drain.admit(manifest)
    locks.take_again()
    return 0


def run_admit(node: str) -> int:
    """Let a node's new machine into Consul, and say what was done for that."""
    try:
        print(newcomers.admit(load_manifest(), node))
    except Unhealthy as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def tell_drift() -> int:
    """Print {"drift": [finding]}, or {"error"} where it is unknown."""
    try:
        print(json.dumps({"drift": drift.find()}))
    except ApplyError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    return 0


def tell_backups() -> int:
    """Print what can be restored; {"error"} where it is unknown."""
    try:
        print(json.dumps(jobs.list_kept(load_manifest())))
    except BackupError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    return 0


def tell_versions() -> int:
    """Print {"versions": {package: {"now", "newer"}}}, or {"error"} where the package lists cannot be read."""
    try:
        print(json.dumps({"versions": versions.find_newer(load_manifest())}))
    except install.InstallError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    return 0


def show_logs(service: str | None, lines: int, since: str, grep: str, *, stamped: bool) -> int:
    """Journal lines of a service's units, or of all of the node's units."""
    services = load_manifest()["services"]
    chosen = [entry for entry in services if service in (None, entry["name"])]
    if not chosen:
        print(
            f"no service {service} on this node; its services are {', '.join(entry['name'] for entry in services)}",
            file=sys.stderr,
        )
        return 1
    units = [f"--unit={unit}" for entry in chosen for unit in entry["units"]]
    if not units:
        # Without one journalctl shows everything, the machine's own lines too.
        having = ", ".join(entry["name"] for entry in services if entry["units"])
        print(f"{service} has no unit and so no log of its own; on this node these have: {having}", file=sys.stderr)
        return 1
    command = ["journalctl", "--no-pager", "-o", "short-unix" if stamped else "short-iso", "-n", str(lines)]
    command += [f"--since={since}"] if since else []
    command += [f"--grep={grep}"] if grep else []
    return subprocess.run([*command, *units], check=False).returncode
