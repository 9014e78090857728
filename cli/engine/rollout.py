"""One run of the engine that changes things: its events shown while it runs, its end bounded after Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType

from cli.console import Failure, err, format_count, is_terminal
from cli.engine.backend import ROOT
from cli.engine.engine import Engine
from cli.engine.events import Error, EventLog, Rollout
from cli.engine.live import display
from cli.engine.lost import adopt_lost
from components.model.clouds.refusals import explain_refusal
from components.model.dropped_calls import REFUSED
from components.model.plan import Node, Plan

POLL_SECONDS = 0.1
CANCEL_SECONDS = 90
"""How long the engine may take to end after Ctrl-C; its provider answers a cancellation at once."""
SHOWN_WARNINGS = 10


@dataclass(frozen=True)
class Run:
    """How a run ended. `said` is what the engine printed, for what never became an event."""

    rollout: Rollout
    status: int
    interrupted: bool
    said: str
    ended: float


def run_engine(engine: Engine, nodes: Sequence[Node], *arguments: str) -> Run:
    """Run `pulumi up` or `destroy` and show it, or `preview` with nothing shown. Raises nothing for a failed run: `status`
    tells."""
    log = EventLog(engine.folder / "events.json")
    log.path.unlink(missing_ok=True)
    said = engine.folder / "engine.log"
    looks = arguments[0] == "preview"
    command = engine.command(
        *arguments,
        *(() if looks else ("--yes", "--skip-preview")),
        "--suppress-outputs",
        "--config-file",
        str(engine.config_file),
        "--event-log",
        str(log.path),
    )
    rollout = Rollout(nodes)
    with said.open("wb") as output:
        # A session of its own: Ctrl-C reaches the engine only through us, once, and its provider never directly.
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=engine.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with interruptible(process) as interrupt, nullcontext() if looks else display(rollout, is_terminal()) as shown:
        running = True
        while running:
            running = process.poll() is None
            for event in log.read():
                row = rollout.feed(event)
                if shown:
                    shown.update(row)
            if shown:
                shown.tick()
            interrupt.enforce()
            if running:
                time.sleep(POLL_SECONDS)
    if not looks:
        adopt_lost(engine, rollout)
    return Run(rollout, process.returncode, interrupt.when is not None, said.read_text(errors="replace"), time.time())


def explain(error: Error, plan: Plan) -> str:
    """Return an error, after what it means where a cloud gave no machine, or none of something else."""
    node = next((node for node in plan.nodes if error.name == node.name), None)
    meaning = explain_refusal(plan, node, error.text)
    return f"{meaning}\n  {error}" if meaning else str(error)


def with_leave(command: str) -> str:
    """Return a command of ours with the leave to drop calls."""
    return command if "--disruptive" in command.split() else f"{command} --disruptive"


class Interrupt:
    """Ctrl-C (or SIGTERM): the engine is asked to stop, and made to when it does not."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.when: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal. A second one tells the engine to end without waiting for resources."""
        if self.when is None:
            os.write(2, b"Stopping: waiting for running operations to end or to be cancelled. Ctrl-C again: at once.\n")
        self.when = self.when or time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def enforce(self) -> None:
        """End the engine and all it started when it had its time."""
        if self.when and time.monotonic() > self.when + CANCEL_SECONDS and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def interruptible(process: subprocess.Popen[bytes]) -> Iterator[Interrupt]:
    """Pass signals to the engine as long as it runs; it never outlives this block."""
    interrupt = Interrupt(process)
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(CANCEL_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        for number, handler in before.items():
            signal.signal(number, handler)


def report_failure(run: Run, again: str, plan: Plan) -> None:
    """Raise a Failure with the texts of what failed, or of the interruption; return if the run was good.

    What a cloud refused is explained before its own words.
    """
    for warning in run.rollout.warnings[:SHOWN_WARNINGS]:
        err.print(f"warning: {warning}")
    if run.status == 0:
        return
    if any(REFUSED in error.text for error in run.rollout.errors):
        again = with_leave(again)
    errors = [error for error in run.rollout.errors if error.name] or run.rollout.errors
    lines = [explain(error, plan) for error in errors]
    if run.interrupted:
        raise Failure("\n".join(["Interrupted.", *lines, f"Run {again} again: it resumes."]))
    if run.status < 0:
        lines.append(f"the Pulumi engine was ended by signal {-run.status} ({signal.Signals(-run.status).name})")
    if not lines:
        lines = [run.said.strip() or f"the Pulumi engine ended with exit status {run.status} and no message"]
    head = f"{format_count(len(lines), 'thing')} failed:" if len(lines) > 1 else "Failed:"
    raise Failure("\n".join([head, *lines, f"Run {again} again: it resumes."]))
