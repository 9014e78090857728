"""The program that only asks: what a cloud says about an account before anything is made there.

The command line runs it in a project and with a state of its own, by `pulumi preview`, which creates nothing. The job
stands in the file that `WEBITEL_QUESTIONS` names: {"answers": path, "made": what is there, "rest": address, "seconds": number
for one answer, "until": seconds since 1970 at which the last one is due}.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from pathlib import Path

import pulumi

from components.clouds.questions import Asked, ask_all
from components.model.backup import list_own_buckets
from stacks.load import load_program

JOB = "WEBITEL_QUESTIONS"
LEAST_SECONDS = 0.5
"""For an answer, however late it is."""


def ask() -> None:
    """Ask the cloud of the stack's settings."""
    job = json.loads(Path(os.environ[JOB]).read_text())
    deployment = load_program()
    plan, settings = deployment.plan, deployment.settings
    questions = importlib.import_module(f"components.clouds.{plan.cloud}.account").make_questions(
        Asked(plan, frozenset(job["made"]), job["rest"], settings.image, settings.site, list_own_buckets(settings))
    )
    # However long the engine and the provider took to start.
    seconds = max(min(job["seconds"], job["until"] - time.time()), LEAST_SECONDS)
    # Awaited before the SDK looks at what failed: there, the first refusal would end the program, and with it other questions.
    pulumi.run(lambda: ask_all(questions, Path(job["answers"]), seconds))
