"""Google Cloud: the alarm at a month's bill."""

from __future__ import annotations

from collections.abc import Sequence

from pulumi import InvokeOptions, Output, ResourceOptions, RunError
from pulumi_gcp import billing, monitoring, organizations

from components.clouds.alarms import ALARMS


def create_budget(name: str, amount: int, mails: Sequence[str], options: ResourceOptions) -> None:
    """Of the project. The billing account's administrators hear it in any case."""
    project = organizations.get_project_output(opts=InvokeOptions(parent=options.parent))
    channels = [
        monitoring.NotificationChannel(
            f"budget-{number}", type="email", display_name=f"{name} {mail}", labels={"email_address": mail}, opts=options
        )
        for number, mail in enumerate(mails, 1)
    ]
    billing.Budget(
        "budget",
        billing_account=project.billing_account.apply(check_account),
        display_name=name,
        # By number: an id comes back as one, and would be a change each time.
        budget_filter=billing.BudgetBudgetFilterArgs(projects=[Output.concat("projects/", project.number)]),
        # In the currency of the billing account, which is left out here: another one is refused.
        amount=billing.BudgetAmountArgs(specified_amount=billing.BudgetAmountSpecifiedAmountArgs(units=str(amount))),
        threshold_rules=[
            billing.BudgetThresholdRuleArgs(
                threshold_percent=percent / 100, spend_basis="FORECASTED_SPEND" if forecast else "CURRENT_SPEND"
            )
            for percent, forecast in ALARMS
        ],
        all_updates_rule=billing.BudgetAllUpdatesRuleArgs(monitoring_notification_channels=[channel.id for channel in channels])
        if channels
        else None,
        opts=options,
    )


def check_account(account: str | None) -> str:
    """Return the billing account of the project; without one there is no bill."""
    if not account:
        raise RunError(
            "webitel:budget: the project's billing account cannot be read; these credentials need "
            "roles/billing.costsManager on it"
        )
    return account
