"""AWS: the alarm at a month's bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pulumi import ResourceOptions
from pulumi_aws import budgets

from components.clouds.alarms import ALARMS


def create_budget(
    name: str, amount: int, currency: str, mails: Sequence[str], tags: Mapping[str, str], options: ResourceOptions
) -> None:
    """Of the whole account: by tags AWS counts only once somebody has activated them in its billing console."""
    budgets.Budget(
        "budget",
        name=name,
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount=str(amount),
        limit_unit=currency,
        notifications=[
            budgets.BudgetNotificationArgs(
                comparison_operator="GREATER_THAN",
                notification_type="FORECASTED" if forecast else "ACTUAL",
                threshold=percent,
                threshold_type="PERCENTAGE",
                subscriber_email_addresses=list(mails),
            )
            for percent, forecast in ALARMS
        ],
        tags=tags,
        opts=options,
    )
