"""A changed value in a stack file as it lies on the disk: links, modes, line ends and all other bytes stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.edit import set_setting

HEAD = "config:\n  webitel:cloud: aws # here\n  webitel:tier: basic\n"
NEW = "  webitel:counts: {app: 2}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD, HEAD + NEW),
        (HEAD.replace("\n", "\r\n"), (HEAD + NEW).replace("\n", "\r\n")),
        (HEAD.rstrip("\n"), HEAD + NEW),
        ("\ufeff" + HEAD, "\ufeff" + HEAD + NEW),
        ("\ufeff" + HEAD.replace("\n", "\r\n"), "\ufeff" + (HEAD + NEW).replace("\n", "\r\n")),
        ("# Büro, 東京\n" + HEAD, "# Büro, 東京\n" + HEAD + NEW),
        ("---\n" + HEAD, "---\n" + HEAD + NEW),
        (HEAD + "# the end\n", HEAD + NEW + "# the end\n"),
        ("encryptionsalt: v1:x\n" + HEAD, "encryptionsalt: v1:x\n" + HEAD + NEW),
        (HEAD + "  aws:secretKey:\n    secure: v1:y\n", HEAD + "  aws:secretKey:\n    secure: v1:y\n" + NEW),
        (HEAD + "  webitel:counts: {app: 1} # two soon\n", HEAD + "  webitel:counts: {app: 2} # two soon\n"),
        (HEAD + "  webitel:counts:\n    # of apps\n    app: 1\n", HEAD + "  webitel:counts:\n    # of apps\n    app: 2\n"),
    ],
)
def test_only_the_value_changes(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "Pulumi.try.yaml"
    file.write_bytes(before.encode())
    set_setting(file, "counts.app", 2)
    assert file.read_bytes().decode() == after


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o664, 0o444])
@pytest.mark.parametrize("target", ["", "elsewhere.yaml", "deep/er/file", "{folder}/absolute.yaml", "chain"])
def test_a_link_and_a_mode_stay(tmp_path: Path, target: str, mode: int) -> None:
    link = real = tmp_path / "stacks/Pulumi.try.yaml"
    link.parent.mkdir()
    if target == "chain":
        real = tmp_path / "last.yaml"
        (tmp_path / "first.yaml").symlink_to("second.yaml")
        (tmp_path / "second.yaml").symlink_to(real)
        link.symlink_to("../first.yaml")
    elif target:
        target = target.format(folder=tmp_path)
        real = link.parent / target
        real.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    real.write_text(HEAD)
    real.chmod(mode)
    set_setting(link, "counts.app", 2)
    assert link.is_symlink() is bool(target) and real.read_text() == HEAD + NEW
    assert real.stat().st_mode & 0o777 == mode
    assert sorted(one.name for one in real.parent.iterdir() if one.name.startswith(".")) == []
