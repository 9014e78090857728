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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cli.console import Failure
from cli.engine.ask import open_aside
from cli.engine.engine import Engine, open_engine
from cli.engine.events import name_of
from components.model.clouds.offers import Finding, Offers, Quota
from components.model.plan import Plan
from stacks import document
from stacks.problems import NAMESPACE, SET
from stacks.questions import JOB
from stacks.settings import is_encrypted, stack_file

ANSWERS_SECONDS = 25.0
"""For everything here; one answer gets the part of it that the engine's start leaves."""
END_SECONDS = 1.0
"""Seconds between the time at which the last answer is due and the end of the engine that asked."""
REST = ""
"""Another address of the clouds' REST interfaces, as tests have one; "" = their own."""

PROGRAM = "from stacks.questions import ask\n\nask()\n"


@dataclass
class Answers:
    """What the cloud answered; `errors` has what it did not, by the name of the question, in its own words, and `late` names
    those of them that are nobody's refusal. `there` are the keys of the nodes that are up."""

    account: str = ""
    offers: Offers | None = None
    quotas: list[Quota] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    there: tuple[str, ...] = ()


def find_obstacle(plan: Plan) -> str:
    """Why the cloud cannot be asked yet: the engine, the SDK or the provider's plugin is not here; "" = it can."""
    from tools.engine.find import find_made_engine
    from tools.environment import is_installed, read_requirements

    lacking = [requirement for requirement in read_requirements(plan.cloud) if not is_installed(requirement)]
    if find_made_engine() is None:
        return "the Pulumi engine is not installed yet"
    if lacking:
        return f"{', '.join(lacking)} is not installed yet"
    return find_lacking_plugin(plan)


def find_lacking_plugin(plan: Plan) -> str:
    """Why the provider cannot be asked yet: its plugin is not here; "" = it is, or runs already."""
    package = plan.facts.package
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
        try:
            made = read_made(own, deadline)
        except Failure as error:
            return Answers(errors={"account": str(error)})
        except subprocess.TimeoutExpired:
            return Answers(errors={"account": f"the Pulumi state did not answer within {seconds:g} s"}, late={"account"})
        return ask_with(own, plan, made, deadline, rest=rest, one=one)


def ask_with(engine: Engine, plan: Plan, made: Sequence[str], deadline: float, *, rest: str = "", one: float = 0) -> Answers:
    """Ask by an engine that is open, for what is missing beside what is there. `deadline`: of the monotonic clock."""
    file = engine.folder / "answers"
    file.unlink(missing_ok=True)
    left = deadline - time.monotonic()
    try:
        settings, secret = read_config(engine, plan.facts.package, deadline)
        until = time.time() + deadline - time.monotonic() - END_SECONDS
        job = {"answers": str(file), "made": list(made), "rest": rest or REST, "seconds": one or left, "until": until}
        said = run_questions(engine, settings, secret, job, file, deadline - END_SECONDS)
    except Failure as error:
        return Answers(errors={"account": str(error)})
    except subprocess.TimeoutExpired:
        return Answers(errors={"account": f"the Pulumi engine did not answer within {left:.0f} s"}, late={"account"})
    late = f"no answer within {left:.0f} s" if time.monotonic() > deadline - END_SECONDS else ""
    answers = gather(file.read_text() if file.exists() else "", late, said)
    answers.there = list_nodes(made, plan)
    return answers


def gather(written: str, late: str, said: str) -> Answers:
    """Return the answers of the program's lines. Where it says nothing of the account, that is its error: how it ended (`late`,
    where that was the deadline, and what the engine `said`) and the other refusals."""
    answers = Answers()
    for line in written.splitlines():
        take(answers, json.loads(line))
    # The first refusal ends the program, whichever question it came to.
    if not answers.account and "account" not in answers.errors:
        reasons = dict.fromkeys(filter(None, (late, said, *answers.errors.values())))
        answers.errors["account"] = "; ".join(reasons) or "the engine ended without an answer"
        answers.late |= {"account"} if late else set()
    return answers


def take(answers: Answers, line: Mapping[str, Any]) -> None:
    """Put one line of the program's answers where it belongs."""
    what = line["what"]
    if "error" in line:
        answers.errors[what] = line["error"]
        answers.late |= {what} if line.get("late") else set()
    elif what == "offers":
        answers.offers = Offers(**line["answer"])
    elif what == "quotas":
        answers.quotas = [Quota(**quota) for quota in line["answer"]]
    elif what == "account":
        answers.account = line["answer"]
    elif "answer" in line:
        answers.findings += [Finding(**finding) for finding in line["answer"]]


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


def read_made(engine: Engine, deadline: float) -> list[str]:
    """Return what is there by the state; nothing where the stack was never made."""
    done = run(engine, deadline, "stack", "export")
    if done.returncode and "no stack named" not in done.stderr:
        raise Failure(f"the Pulumi state cannot be read: {done.stderr.strip()}")
    return list_made(json.loads(done.stdout)["deployment"].get("resources", [])) if done.returncode == 0 else []


def list_made(resources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return `TYPE::NAME` of the resources of a state that are there."""
    gone = ("delete", "pendingReplacement")
    return [f"{one['type']}::{name_of(one['urn'])}" for one in resources if not any(one.get(word) for word in gone)]


def list_nodes(made: Sequence[str], plan: Plan) -> tuple[str, ...]:
    """Return the keys of the plan's nodes that have a machine."""
    return tuple(node.key for node in plan.nodes if f"{plan.facts.machine_resource}::{node.key}" in made)


def read_stack_config(stack: str) -> dict[str, Any]:
    """Return what stands under `config` in a stack file as the engine reads it, encrypted values as they are there."""
    return document.read_config(stack_file(stack))[0]


def read_provider_config(plan: Plan) -> list[str]:
    """Return the names under the provider's namespace in the stack file."""
    return [name.partition(":")[2] for name in read_stack_config(plan.stack) if name.startswith(f"{plan.facts.package}:")]


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


def list_secret_settings(stack: str) -> list[str]:
    """Return the names of our own secret settings that the stack file has."""
    return [name for name, value in read_stack_config(stack).items() if name.startswith(f"{NAMESPACE}:") and is_encrypted(value)]


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
    if known := list_secret_settings(engine.stack):
        # Of secrets of ours the plan knows only whether they are set; without them it would refuse what needs one.
        first.append((("config", "set-all", *(word for name in known for word in ("--secret", f"{name}={SET}"))), ""))
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
