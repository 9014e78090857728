"""Outgoing mail: what a cloud closes is said where Webitel would send by it."""

import pytest

from tests.plans import load_stack


def said(stack: str) -> list[str]:
    return [warning for warning in load_stack(stack).plan.warnings if warning.startswith("outgoing mail")]


@pytest.mark.parametrize(
    ("stack", "closed", "mend"),
    [
        ("hetzner-basic", "Hetzner may close 465 to", "with port 587"),
        ("digitalocean-extended", "DigitalOcean may close 465 and 587 to", "ask its support"),
    ],
)
def test_a_closed_port_is_said_with_the_one_that_is_left(stack: str, closed: str, mend: str) -> None:
    (warning,) = said(stack)
    assert closed in warning
    assert mend in warning


@pytest.mark.parametrize("stack", ["aws-single", "gcp-basic", "azure-extended", "local-single"])
def test_what_webitel_does_not_send_by_is_not_worth_a_word(stack: str) -> None:
    assert said(stack) == []
