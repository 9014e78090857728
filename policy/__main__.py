"""The Pulumi policy pack: `pulumi preview --policy-pack policy`, in the project's environment."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policy.rules import RULES, Rule


def make_policy(rule: Rule) -> ResourceValidationPolicy:
    """Return a rule as the engine asks it, of each resource that is to be."""

    def validate(args: ResourceValidationArgs, report_violation: ReportViolation) -> None:
        for text in rule.check(args.resource_type, unwrap(args.props)):
            report_violation(text)

    return ResourceValidationPolicy(rule.name, rule.description, validate)


def unwrap(values: Any) -> Any:
    """Return maps and lists without the pack's wrapping. What a preview does not know yet is left out: it would end the
    policy, and nearly every machine of a first preview has something of that kind."""
    if isinstance(values, Mapping):
        return {key: unwrap(value) for key, value in list_known(values, values)}
    if isinstance(values, Sequence) and not isinstance(values, str):
        return [unwrap(value) for _, value in list_known(values, range(len(values)))]
    return values


def list_known(values: Any, keys: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Return what is known of a map or list."""
    for key in keys:
        with suppress(UnknownValueError):
            yield key, values[key]


POLICIES = [make_policy(rule) for rule in RULES]

if __name__ == "__main__":
    PolicyPack("webitel", policies=POLICIES, enforcement_level=EnforcementLevel.MANDATORY)
