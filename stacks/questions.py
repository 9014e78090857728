"""The program that only asks: what a cloud says about an account before anything is made there.

The command line runs it in a project and with a state of its own, by `pulumi preview`, which creates nothing. The job
stands in the file that `WEBITEL_QUESTIONS` names: {"answers": path, "there": keys of nodes, "rest": address, "seconds": number}.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import pulumi

from components.clouds.questions import Asked, ask_all
from stacks.load import load_program

JOB = "WEBITEL_QUESTIONS"


def ask() -> None:
    """Ask the cloud of the stack's settings."""
    job = json.loads(Path(os.environ[JOB]).read_text())
    plan = load_program().plan
    questions = importlib.import_module(f"components.clouds.{plan.cloud}.account").make_questions(
        Asked(plan, job["there"], job["rest"])
    )
    pulumi.export("asked", pulumi.Output.from_input(ask_all(questions, Path(job["answers"]), job["seconds"])))
