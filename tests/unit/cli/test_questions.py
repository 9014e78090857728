"""What the questions to a cloud take from a stack file."""

from pathlib import Path

import pytest

from cli.cloud.questions import read_stack_config
from stacks import settings


def test_a_stack_file_is_read_as_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "STACKS", tmp_path)
    (tmp_path / "Pulumi.try.yaml").write_text(
        "config:\n  webitel:counts: {app: 2}\n  aws:profile: 2026-13-45\n  aws:token: {secure: v1:abc}\n"
    )
    assert read_stack_config("try") == {
        "webitel:counts": {"app": "2"},
        "aws:profile": "2026-13-45",
        "aws:token": {"secure": "v1:abc"},
    }
