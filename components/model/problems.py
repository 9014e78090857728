"""What is wrong with a deployment's settings, all of it at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

UNSEEN = re.compile("[\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u2060\ufeff]")
"""What is not seen on a screen, or not told from a space."""


@dataclass(frozen=True)
class Problem:
    """One finding. `setting` is the whole key (`webitel:counts.data`), "" where no setting is to blame.

    `value` is "" where there is none or where it is a secret. `message` says why and gives a correct example.
    """

    setting: str
    value: str
    message: str

    def __str__(self) -> str:
        head = show_unseen(f"{self.setting} = {self.value}" if self.value else self.setting)
        return f"{head}: {self.message}" if head else self.message


def show_unseen(text: str) -> str:
    """Return a text with its invisible characters named: `voice<U+200B>`."""
    return UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


class PlanError(Exception):
    """Every problem found in the settings; `str()` is what the user reads."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        number = len(self.problems)
        head = "1 setting needs attention" if number == 1 else f"{number} settings need attention"
        return "\n".join((f"{head}, nothing was created:", *(f"  {problem}" for problem in self.problems)))


def set_secret(key: str) -> str:
    """Return the command that writes one of our secret settings, with STACK for the deployment's name."""
    return f"./webitel pulumi config set --secret webitel:{key} --stack STACK"


def setting_problem(key: str, value: object, message: str) -> Problem:
    """Return a problem of one of our settings, by its name under `webitel:`."""
    return Problem(f"webitel:{key}", str(value), message)
