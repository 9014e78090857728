"""The Pulumi policy pack: `pulumi preview --policy-pack policy`. Its environment is its own, see `requirements.txt`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

from policy.rules import RULES, Rule


def make_policy(rule: Rule) -> ResourceValidationPolicy:
    """A rule as the engine asks it, of each resource that is to be."""

    def validate(args: ResourceValidationArgs, report_violation: ReportViolation) -> None:
        for text in rule.check(args.resource_type, dict(args.props)):
            report_violation(text)

    return ResourceValidationPolicy(rule.name, rule.description, validate)


POLICIES = [make_policy(rule) for rule in RULES]

if __name__ == "__main__":
    PolicyPack("webitel", policies=POLICIES, enforcement_level=EnforcementLevel.MANDATORY)
