"""The Pulumi policy pack: `pulumi preview --policy-pack policy`, in the project's environment."""

import sys
from collections.abc import Mapping, Sequence
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
from policy.stack import read_openings, stack_of
from policy.values import UNKNOWN


def make_policy(rule: Rule) -> ResourceValidationPolicy:
    """Return a rule as the engine asks it, of each resource that is to be."""

    def validate(args: ResourceValidationArgs, report_violation: ReportViolation) -> None:
        for text in rule.check(args.resource_type, unwrap(args.props)):
            report_violation(text)

    return ResourceValidationPolicy(rule.name, rule.description, validate)


def check_openings(args: ResourceValidationArgs, report_violation: ReportViolation) -> None:
    """Hold what a resource lets in against the plan of its stack; the engine starts a pack in the project's folder."""
    openings = read_openings(stack_of(args.urn), Path.cwd())
    for text in openings.check(args.resource_type, unwrap(args.props)):
        report_violation(text)


PLANNED = ResourceValidationPolicy("no-unplanned-opening", "Nothing is open that the plan does not open.", check_openings)


def unwrap(values: Any) -> Any:
    """Return maps and lists without the pack's wrapping. What a preview does not know yet is `UNKNOWN`: as it comes it would end
    the policy, and nearly every machine of a first preview has something of that kind."""
    if isinstance(values, Mapping):
        return {key: unwrap(take(values, key)) for key in values}
    if isinstance(values, Sequence) and not isinstance(values, str):
        return [unwrap(take(values, place)) for place in range(len(values))]
    return values


def take(values: Any, key: Any) -> Any:
    """Return a value of a map or list, `UNKNOWN` where it is not known yet."""
    try:
        return values[key]
    except UnknownValueError:
        return UNKNOWN


POLICIES = [*map(make_policy, RULES), PLANNED]

if __name__ == "__main__":
    PolicyPack("webitel", policies=POLICIES, enforcement_level=EnforcementLevel.MANDATORY)
