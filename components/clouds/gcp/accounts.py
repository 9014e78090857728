"""Google Cloud: names of the service accounts that a deployment makes."""

from __future__ import annotations

import hashlib

ACCOUNT_MIN, ACCOUNT_MAX = 6, 30
"""Characters of a service account's name."""


def name_account(stack: str, purpose: str) -> str:
    """Return what the account is called: as the stack, shorter where that is too long for one."""
    name = f"{stack}-{purpose}"
    if ACCOUNT_MIN <= len(name) <= ACCOUNT_MAX:
        return name
    digest = hashlib.sha256(stack.encode()).hexdigest()[:8]
    return f"{stack[: ACCOUNT_MAX - len(digest) - len(purpose) - 2].rstrip('-')}-{digest}-{purpose}"
