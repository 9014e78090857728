"""Asking functions of the clouds' providers through the engine, where no program of a deployment runs.

A small project with a stack of its own in a folder that goes away: a preview of it asks, and changes nothing anywhere.
`answer` is that project's program.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cli.console import Failure
from cli.engine import ROOT, Engine

QUESTIONS, ANSWERS = "WEBITEL_QUESTIONS", "WEBITEL_ANSWERS"
PROGRAM = "from cli.ask import answer\n\nanswer()\n"


@dataclass(frozen=True)
class Question:
    """A function with its arguments. `provider` are the settings of the provider that is asked, None = those of the
    stack's configuration; `version` is the provider's."""

    function: str
    arguments: Mapping[str, Any]
    version: str = ""
    provider: Mapping[str, Any] | None = field(default=None)


@dataclass(frozen=True)
class Answer:
    """What a function returned, or the text of its error."""

    values: Mapping[str, Any]
    error: str = ""


def ask(engine: Engine, questions: Sequence[Question]) -> list[Answer]:
    """The answers, in the order of the questions. Raises a Failure where they could not be asked."""
    if not questions:
        return []
    folder = engine.folder / "asked"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "state").mkdir(parents=True)
    name = engine.project()
    (folder / "Pulumi.yaml").write_text(json.dumps(
        {"name": name, "runtime": {"name": "python", "options": {"virtualenv": ".venv"}}}))
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "__main__.py").write_text(PROGRAM)
    shutil.copy(engine.config_file, folder / f"Pulumi.{engine.stack}.yaml")
    asked, answered = folder / "questions.json", folder / "answers.json"
    asked.write_text(json.dumps([asdict(question) for question in questions]))
    environment = engine.environment | {
        "PULUMI_BACKEND_URL": (folder / "state").as_uri(), "PYTHONPATH": str(ROOT),
        QUESTIONS: str(asked), ANSWERS: str(answered)}
    said = ""
    for words in (("stack", "init", "--no-select"), ("preview",)):
        done = subprocess.run(
            engine.command(*words), cwd=folder, env=environment, stdin=subprocess.DEVNULL, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said += done.stdout
        if done.returncode:
            break
    if not answered.exists():
        raise Failure(f"the cloud could not be asked what exists:\n{said.strip()}")
    return [Answer(**one) for one in json.loads(answered.read_text())]


def answer() -> None:
    """Ask every question of the file that an environment variable names, and write the answers to another one."""
    import pulumi

    providers: dict[str, pulumi.ProviderResource] = {}

    def put(question: Question) -> Answer:
        options = pulumi.InvokeOptions(version=question.version or None)
        if question.provider is not None:
            package = question.function.partition(":")[0]
            key = json.dumps([package, question.provider])
            if key not in providers:
                providers[key] = pulumi.ProviderResource(
                    package, f"asked-{len(providers)}", dict(question.provider),
                    pulumi.ResourceOptions(version=question.version or None))
            options.provider = providers[key]
        try:
            return Answer(pulumi.runtime.invoke(question.function, dict(question.arguments), options).value or {})
        except Exception as error:  # whatever it is, who asked decides what it means
            return Answer({}, str(error))

    questions = [Question(**one) for one in json.loads(Path(os.environ[QUESTIONS]).read_text())]
    answers = [asdict(put(question)) for question in questions]
    Path(os.environ[ANSWERS]).write_text(json.dumps(answers))
