"""What `up` says at its end."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli.nodes.access import Access
from cli.show import end
from stacks.load import load_deployment


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        ("local-single", "First log-in: none in the sandbox"),
        ("hetzner-basic", "First log-in: https://voice.example.com/ > Create account: your domain, a user name and a password"),
    ],
)
def test_the_first_log_in_and_the_licence(monkeypatch: pytest.MonkeyPatch, stack: str, said: str) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(end, "out", Console(file=shown, width=250))
    monkeypatch.setattr(end, "read_licence", lambda made, access: "1234")
    end.show_end(load_deployment(stack).plan, Access({}, "https://voice.example.com/", ""))
    text = shown.getvalue()
    assert said in text
    assert "Licence identifier 1234: send it to Webitel" in text
    assert text.startswith("https://voice.example.com/")
