"""AWS: policies, as IAM and S3 take them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

VERSION = "2012-10-17"
"""Of the language of policies."""


def write_policy(statements: Sequence[dict[str, Any]]) -> str:
    """Return a policy of these statements, which allow where they say nothing else."""
    return json.dumps({"Version": VERSION, "Statement": [{"Effect": "Allow", **one} for one in statements]})
