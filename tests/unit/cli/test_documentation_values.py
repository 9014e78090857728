"""`up` on a cloud names everything that its owner has to set, in one go, before anything is asked or made."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from components.clouds.registry import CLOUDS
from stacks.settings import list_stacks
from tests.plans import load_stack

REAL = [stack for stack in list_stacks() if CLOUDS[load_stack(stack).settings.cloud].real]
OWN = ("domain", "operators", "carriers")
"""What only the owner can know: at most three."""
VENDOR = ("allow_plain_http", "repository_user", "repository_password", "freeswitch_token", "repository_keys")
"""What the vendor gives, with its packages only."""


@pytest.mark.parametrize("stack", REAL)
def test_up_names_all_that_is_missing(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # no engine to be found, and none is looked for
    done = CliRunner().invoke(app, ["up", stack, "--yes"])
    text = str(done.exception)
    assert done.exit_code == 1 and "must be set first. Nothing was created." in text
    named = [line.split()[0].rstrip(":").removeprefix("webitel:") for line in text.splitlines()[1:]]
    assert [name for name in named if name.partition(".")[0] not in VENDOR] == list(OWN)
    assert {name.partition(".")[0] for name in named} == {*OWN, *VENDOR}
    assert all(any(word in line for word in ("such as", "use ", "config set")) for line in text.splitlines()[1:])
