"""Asking a cloud through the engine: its answers, within a bounded time, with nothing made and nothing kept."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cli.console import Failure
from cli.engine.ask import open_aside
from cli.engine.engine import Engine, open_engine
from components.model.clouds.offers import Offers, Quota
from components.model.plan import Plan
from stacks import document
from stacks.questions import JOB
from stacks.settings import is_encrypted, stack_file

ANSWERS_SECONDS = 25.0
"""For everything here; one answer gets the part of it that the engine's start leaves."""
START_SECONDS = 8.0
"""Seconds that the engine, the program and the provider may need before the first question."""

PROGRAM = "from stacks.questions import ask\n\nask()\n"


@dataclass
class Answers:
    """What the cloud answered; `errors` has what it did not, by the name of the question, in its own words."""

    account: str = ""
    offers: Offers | None = None
    quotas: list[Quota] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)


def find_obstacle(plan: Plan) -> str:
    """Why the cloud cannot be asked yet: the engine, the SDK or the provider's plugin is not here; "" = it can."""
    from tools.engine.find import find_made_engine
    from tools.environment import is_installed, read_requirements

    package = plan.facts.package
    lacking = [requirement for requirement in read_requirements(plan.cloud) if not is_installed(requirement)]
    if find_made_engine() is None:
        return "the Pulumi engine is not installed yet"
    if lacking:
        return f"{', '.join(lacking)} is not installed yet"
    attached = [one.partition(":")[0] for one in os.environ.get("PULUMI_DEBUG_PROVIDERS", "").split(",")]
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    version = importlib.metadata.version(f"pulumi-{package}")
    if package not in attached and not (home / "plugins" / f"resource-{package}-v{version}").exists():
        return f"Pulumi's provider {package} {version} is not installed yet"
    return ""


def ask_cloud(plan: Plan, *, rest: str = "", seconds: float = ANSWERS_SECONDS, one: float = 0) -> Answers:
    """Ask the cloud of a plan; returns after at most `seconds`, `one` for each answer (0 = what the start leaves).
    `rest`: another address of its REST interface."""
    from tools.engine.find import find_made_engine

    engine = find_made_engine()
    assert engine, "find_obstacle comes first"
    deadline = time.monotonic() + seconds
    with open_engine(plan.stack, lambda progress: engine) as own:
        file = own.folder / "answers"
        try:
            there = read_nodes(own, deadline)
            settings, secret = read_config(own, plan.facts.package, deadline)
            job = {"answers": str(file), "there": there, "rest": rest, "seconds": one or max(seconds - START_SECONDS, 1)}
            said = run_questions(own, settings, secret, job, file, deadline)
        except Failure as error:
            return Answers(errors={"account": str(error)})
        except subprocess.TimeoutExpired:
            return Answers(errors={"account": f"the Pulumi state did not answer within {seconds:g} s"})
        written = file.read_text() if file.exists() else ""
    late = f"no answer within {seconds:g} s" if time.monotonic() > deadline else ""
    return gather(written, late, said)


def gather(written: str, *notes: str) -> Answers:
    """Return the answers of the program's lines. Where it says nothing of the account, that is its error: the `notes` (how it
    ended) and the other refusals."""
    answers = Answers()
    for line in written.splitlines():
        take(answers, json.loads(line))
    # The first refusal ends the program, whichever question it came to.
    if not answers.account and "account" not in answers.errors:
        reasons = dict.fromkeys(filter(None, (*notes, *answers.errors.values())))
        answers.errors["account"] = "; ".join(reasons) or "the engine ended without an answer"
    return answers


def take(answers: Answers, line: Mapping[str, Any]) -> None:
    """Put one line of the program's answers where it belongs."""
    what = line["what"]
    if "error" in line:
        answers.errors[what] = line["error"]
    elif what == "offers":
        answers.offers = Offers(**line["answer"])
    elif what == "quotas":
        answers.quotas = [Quota(**quota) for quota in line["answer"]]
    elif what == "account":
        answers.account = line["answer"]


def run(engine: Engine, deadline: float, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a short command of the engine. Raises TimeoutExpired at the deadline."""
    return subprocess.run(
        engine.command(*arguments),
        cwd=engine.folder,
        env=engine.environment,
        text=True,
        capture_output=True,
        check=False,
        input=stdin,
        timeout=max(deadline - time.monotonic(), 0.1),
    )


def read_nodes(engine: Engine, deadline: float) -> list[str]:
    """Return the keys of the nodes that are up; none where the stack was never made."""
    done = run(engine, deadline, "stack", "output", "--json")
    if done.returncode and "no stack named" not in done.stderr:
        raise Failure(f"the Pulumi state cannot be read: {done.stderr.strip()}")
    return list(json.loads(done.stdout).get("nodes", ())) if done.returncode == 0 else []


def read_stack_config(stack: str) -> dict[str, Any]:
    """Return what stands under `config` in a stack file as the engine reads it, encrypted values as they are there."""
    return document.read_config(stack_file(stack))[0]


def read_config(engine: Engine, package: str, deadline: float) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the stack file says in plain text, and the encrypted values of the cloud's own provider."""
    config = read_stack_config(engine.stack)
    plain = {name: value for name, value in config.items() if not is_encrypted(value)}
    wanted = [name for name in config if name.startswith(f"{package}:") and name not in plain]
    if not wanted:
        return plain, {}
    done = run(engine, deadline, "config", "--json", "--show-secrets")
    if done.returncode:
        raise Failure(f"{', '.join(wanted)} cannot be decrypted: {done.stderr.strip()}")
    values = json.loads(done.stdout)
    return plain, {name: values[name]["value"] for name in wanted}


def run_questions(
    engine: Engine,
    settings: Mapping[str, Any],
    secret: Mapping[str, str],
    job: Mapping[str, Any],
    file: Path,
    deadline: float,
) -> str:
    """Run the program that asks, with a project, state and passphrase of its own, until its answers are in the file;
    returns what the engine said."""
    file.with_name("job").write_text(json.dumps(job))
    asking = open_aside(
        engine,
        PROGRAM,
        yaml.safe_dump({"config": dict(settings)}),
        {
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_urlsafe(),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            JOB: str(file.with_name("job")),
        },
    )
    asking.environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
    first = [(("stack", "init"), ""), *((("config", "set", "--secret", name), text) for name, text in secret.items())]
    for arguments, stdin in first:
        done = run(asking, deadline, *arguments, stdin=stdin)
        if done.returncode:
            return done.stderr.strip()
    with file.with_name("said").open("w+") as said:
        process = subprocess.Popen(
            asking.command("preview", "--suppress-progress"),
            cwd=asking.folder,
            env=asking.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        wait_for_answers(process, file, deadline)
        said.seek(0)
        return summarize(said.read())


def wait_for_answers(process: subprocess.Popen[bytes], file: Path, deadline: float) -> None:
    """Wait until everything is answered, the engine has ended or it is time; then end the engine."""
    while process.poll() is None and time.monotonic() < deadline:
        if file.exists() and '"end"' in file.read_text():
            break
        time.sleep(0.05)
    for ask in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, ask)
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)


def summarize(said: str) -> str:
    """Return the errors among what the engine printed; what a deadline left is everything it said."""
    errors = re.findall(r"^ *error: (.+(?:\n {4,}.+)*)", said, re.MULTILINE)
    return "; ".join(dict.fromkeys(" ".join(one.split()) for one in errors)) or said.strip()
