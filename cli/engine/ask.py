"""Asking the clouds' providers through the engine, where no program of a deployment runs: by a small project beside it.

`answer` is the program of such a project that asks functions of the providers.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.console import Failure
from cli.engine.backend import ROOT
from cli.engine.engine import Engine

if TYPE_CHECKING:
    import pulumi

QUESTIONS, ANSWERS = "WEBITEL_QUESTIONS", "WEBITEL_ANSWERS"
PROGRAM = "from cli.engine.ask import answer\n\nanswer()\n"
MAKING = "from cli.engine.ask import make_all\n\nmake_all()\n"


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


def open_aside(engine: Engine, program: str, config: str, variables: Mapping[str, str]) -> Engine:
    """Return the engine on a project whose program only asks, with a state of its own in a folder that goes away with this run: a
    preview of it changes nothing anywhere. `config` is the text of its stack file."""
    folder = engine.folder / "asked"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "state").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text(
        json.dumps({"name": engine.project(), "runtime": {"name": "python", "options": {"virtualenv": ".venv"}}})
    )
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "__main__.py").write_text(program)
    (folder / f"Pulumi.{engine.stack}.yaml").write_text(config)
    environment = {**engine.environment, "PULUMI_BACKEND_URL": (folder / "state").as_uri(), "PYTHONPATH": str(ROOT), **variables}
    return replace(engine, environment=environment, folder=folder)


def ask(engine: Engine, questions: Sequence[Question]) -> list[Answer]:
    """Return the answers, in the order of the questions. Raises a Failure where they could not be asked."""
    if not questions:
        return []
    asked, answered = engine.folder / "questions.json", engine.folder / "answers.json"
    answered.unlink(missing_ok=True)
    asked.write_text(json.dumps([asdict(question) for question in questions]))
    aside = open_aside(engine, PROGRAM, engine.config_file.read_text(), {QUESTIONS: str(asked), ANSWERS: str(answered)})
    said = ""
    try:
        aside.create()
        aside.run("preview")
    except Failure as failure:
        said = str(failure)
    if not answered.exists():
        raise Failure(f"the cloud could not be asked what exists:\n{said}")
    return [Answer(**one) for one in json.loads(answered.read_text())]


def make(engine: Engine, things: Sequence[Question]) -> None:
    """Make resources (types in place of functions) whose creation alone counts: their state goes away with this run."""
    asked = engine.folder / "questions.json"
    asked.write_text(json.dumps([asdict(thing) for thing in things]))
    aside = open_aside(engine, MAKING, engine.config_file.read_text(), {QUESTIONS: str(asked)})
    aside.create()
    aside.run("up", "--yes", "--skip-preview")


class Providers:
    """The providers of a program that asks, each made once."""

    def __init__(self) -> None:
        self.made: dict[str, pulumi.ProviderResource] = {}

    def __call__(self, question: Question) -> pulumi.ProviderResource | None:
        import pulumi

        if question.provider is None:
            return None
        package = question.function.partition(":")[0]
        key = json.dumps([package, question.provider])
        if key not in self.made:
            self.made[key] = pulumi.ProviderResource(
                package,
                f"asked-{len(self.made)}",
                dict(question.provider),
                pulumi.ResourceOptions(version=question.version or None),
            )
        return self.made[key]


def read_questions() -> list[Question]:
    """Read the questions from the file that an environment variable names."""
    return [Question(**one) for one in json.loads(Path(os.environ[QUESTIONS]).read_text())]


def make_all() -> None:
    """Make a resource of every question of the file."""
    import pulumi

    find = Providers()
    for number, one in enumerate(read_questions()):
        pulumi.CustomResource(
            one.function,
            f"made-{number}",
            dict(one.arguments),
            pulumi.ResourceOptions(provider=find(one), version=one.version or None),
        )


def answer() -> None:
    """Ask every question of the file that an environment variable names, and write the answers to another one."""
    import pulumi

    find = Providers()

    def put(question: Question) -> Answer:
        options = pulumi.InvokeOptions(version=question.version or None, provider=find(question))
        try:
            return Answer(pulumi.runtime.invoke(question.function, dict(question.arguments), options).value or {})
        except Exception as error:  # whatever it is, who asked decides what it means
            return Answer({}, str(error))

    answers = [asdict(put(question)) for question in read_questions()]
    Path(os.environ[ANSWERS]).write_text(json.dumps(answers))
