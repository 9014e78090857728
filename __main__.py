"""What Pulumi runs."""

from stacks.deployment import deploy

deploy()
