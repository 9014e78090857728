"""What counts as drift."""

from pathlib import Path

import pytest

from cloud_init.node.apply.drift import compare_file, compare_package, compare_unit, describe_file


def test_a_file_is_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "one.conf"
    file.write_text("password = secret-of-somebody\n")
    file.chmod(0o600)
    was = describe_file(file)
    assert "secret" not in str(was)
    assert compare_file(was, describe_file(file)) == ""
    file.chmod(0o644)
    assert compare_file(was, describe_file(file)) == "mode or owner changed"
    file.write_text("password = other\n")
    assert compare_file(was, describe_file(file)) == "content changed"
    file.unlink()
    assert compare_file(was, describe_file(file)) == "is gone"
    file.symlink_to("/etc/hostname")
    assert compare_file(was, describe_file(file)) == "is gone"


@pytest.mark.parametrize(
    ("now", "what"),
    [
        ({"UnitFileState": "enabled", "ActiveState": "active"}, ""),
        ({"UnitFileState": "enabled", "ActiveState": "activating"}, ""),
        ({"UnitFileState": "disabled", "ActiveState": "active"}, "disabled"),
        ({"UnitFileState": "masked", "ActiveState": "inactive"}, "masked and stopped"),
        ({"UnitFileState": "enabled", "ActiveState": "inactive"}, "stopped"),
        ({"UnitFileState": "enabled", "ActiveState": "failed"}, "failed"),
        ({"LoadState": "not-found", "UnitFileState": "", "ActiveState": "inactive"}, "is gone"),
    ],
)
def test_units(now: dict[str, str], what: str) -> None:
    assert compare_unit("enabled", now) == what


def test_a_unit_that_moves_may_be_stopped() -> None:
    now = {"LoadState": "loaded", "UnitFileState": "disabled", "ActiveState": "inactive"}
    assert compare_unit("disabled", now) == "stopped"
    assert compare_unit("disabled", now, moves=True) == ""
    assert compare_unit("disabled", {**now, "UnitFileState": "masked"}, moves=True) == "masked"


def test_packages() -> None:
    assert compare_package(("1.22", True), ("1.22", True)) == ""
    assert compare_package(("1.22", True), None) == "removed"
    assert compare_package(("1.22", True), ("1.22", False)) == "no longer held"
    assert compare_package(("1.22", True), ("1.23", False)) == "version 1.23 instead of 1.22 and no longer held"
    assert compare_package(("1.22", False), ("1.23", False)) == "", "a security update"
