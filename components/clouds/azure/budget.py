"""Azure: the alarm at a month's bill."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pulumi import Input, ResourceOptions
from pulumi_azure_native import consumption

from components.clouds.alarms import ALARMS


def create_budget(name: str, amount: int, scope: Input[str], mails: Sequence[str], options: ResourceOptions) -> None:
    """Of the deployment's resource group."""
    # It begins with the month in which it is made, which Azure lets nobody change.
    start = datetime.now(UTC).strftime("%Y-%m-01T00:00:00Z")
    consumption.Budget(
        "budget",
        budget_name=name,
        scope=scope,
        amount=amount,
        category=consumption.CategoryType.COST,
        time_grain=consumption.TimeGrainType.MONTHLY,
        time_period=consumption.BudgetTimePeriodArgs(start_date=start),
        notifications={
            f"{'forecast' if forecast else 'actual'}-{percent}": consumption.NotificationArgs(
                enabled=True,
                operator=consumption.OperatorType.GREATER_THAN,
                threshold=percent,
                threshold_type="Forecasted" if forecast else "Actual",
                contact_emails=list(mails),
            )
            for percent, forecast in ALARMS
        },
        opts=ResourceOptions.merge(options, ResourceOptions(ignore_changes=["timePeriod"])),
    )
