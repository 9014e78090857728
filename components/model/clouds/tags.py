"""What a deployment's own tags may be on a cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from components.model.problems import Problem, setting_problem

OWN_TAGS = 20
"""At most, on every cloud: the smallest of theirs is 50, and the provider's and ours stand beside them."""


@dataclass(frozen=True)
class TagRules:
    """What the cloud takes: regular expressions of names and values, in words, and those of names that are ours or its own."""

    name: str
    value: str
    words: str
    reserved: tuple[str, ...]

    def find_problems(self, tags: Mapping[str, str], title: str) -> Iterator[Problem]:
        """Find the tags that the cloud refuses, and those that stand for something else."""
        for name, value in tags.items():
            if not re.fullmatch(self.name, name) or not re.fullmatch(self.value, value):
                yield setting_problem(f"tags.{name}", value, f"{title} takes {self.words}, such as cost-center: telephony")
            elif any(re.fullmatch(pattern, name, re.IGNORECASE) for pattern in self.reserved):
                yield setting_problem(f"tags.{name}", value, "the name is taken; use one of your own, such as cost-center")
        if len(tags) > OWN_TAGS:
            yield setting_problem("tags", f"{len(tags)} tags", f"at most {OWN_TAGS}, such as cost-center: telephony")


def write_words(stack: str, role: str, node: str, own: Mapping[str, str], between: str) -> list[str]:
    """Return the tags of a node's things where a tag is a word: ours and the deployment's own, sorted."""
    named = {"stack": stack, "role": role, "node": node, **own}
    return sorted({"webitel", *(f"{name}{between}{value}" if value else name for name, value in named.items())})
