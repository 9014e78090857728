"""What is wrong with a deployment's settings, all of it at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One finding. `setting` is the whole key (`webitel:counts.data`), "" where no setting is to blame.

    `value` is "" where there is none or where it is a secret. `message` says why and gives a correct example.
    """

    setting: str
    value: str
    message: str

    def __str__(self) -> str:
        head = f"{self.setting} = {self.value}" if self.value else self.setting
        return f"{head}: {self.message}" if head else self.message


class PlanError(Exception):
    """Every problem found in the settings; `str()` is what the user reads."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        number = len(self.problems)
        head = "1 setting needs attention" if number == 1 else f"{number} settings need attention"
        return "\n".join((f"{head}, nothing was created:", *(f"  {problem}" for problem in self.problems)))


def setting_problem(key: str, value: object, message: str) -> Problem:
    """Return a problem of one of our settings, by its name under `webitel:`."""
    return Problem(f"webitel:{key}", str(value), message)
