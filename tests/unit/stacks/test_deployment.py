"""What a program says that cannot begin."""

from __future__ import annotations

import sys

import pulumi
import pytest

from stacks.deployment import load_adapter


def test_a_missing_sdk_is_installed_by_our_command_line_as_the_lock_file_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "components.clouds.hetzner.adapter", raising=False)
    monkeypatch.setitem(sys.modules, "pulumi_hcloud", None)
    monkeypatch.setattr("pulumi.get_stack", lambda: "my-company")
    with pytest.raises(pulumi.RunError) as caught:
        load_adapter("hetzner")
    assert "needs pulumi_hcloud, which ./webitel preview my-company installs" in str(caught.value)
