"""Bundles on a node: what a service reads is another one together with the files, or not at all."""

import json
import pathlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud_init.node import install
from cloud_init.node.apply import configuration
from cloud_init.node.system import ApplyError
from tests.unit.node.fake_node import FakeNode
from tests.unit.node.test_composed import BUNDLES, change_bundle, change_template, given

ROUTES = "/etc/opensips/routes.cfg"


class Killed(BaseException):
    """The end of the program between two steps."""


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    """A node that has its configuration, with every unit active."""
    node = FakeNode(tmp_path, monkeypatch)
    node.apply(given())
    node.units |= dict.fromkeys(node.units, True)
    return node


def placed(node: FakeNode, bundle: str = "opensips", suffix: str = "") -> str:
    """The digest of the bundle that a service of this node reads; the staged one's with the suffix `.new`."""
    return (node.root / f"share/bundles/{bundle}{suffix}/digest").read_text()


def recorded(node: FakeNode) -> str:
    """The digest that the node remembers."""
    digest: str = json.loads((node.root / "var/state.json").read_text())["bundles"]["opensips"]
    return digest


def routes(node: FakeNode) -> str:
    """The file that goes with the bundle."""
    return Path(f"{node.root}{ROUTES}").read_text()


def fail_with_packages(node: FakeNode) -> None:
    """Apply what cannot get its packages."""

    def fail(*_: object, **__: object) -> None:
        raise install.InstallError("the mirror is away")

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(install, "install", fail)
        with pytest.raises(ApplyError, match="the mirror is away"):
            node.apply(given())


@pytest.fixture
def changed(running: FakeNode, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    """A node for which there is another bundle, and another file that goes with it."""
    change_bundle(monkeypatch, "opensips")
    change_template(monkeypatch, "opensips/routes.cfg")
    return running


def test_without_its_packages_a_node_keeps_the_bundle_and_the_next_run_has_the_new_one(changed: FakeNode) -> None:
    was, file = placed(changed), routes(changed)
    fail_with_packages(changed)
    assert placed(changed) == recorded(changed) == was and routes(changed) == file
    changed.apply(given())
    assert placed(changed) == recorded(changed) == "another" and routes(changed) != file
    assert changed.asked == BUNDLES["opensips"]


def test_files_are_checked_with_the_new_bundle_and_a_refused_one_leaves_the_old_one(changed: FakeNode) -> None:
    was, file, seen = placed(changed), routes(changed), list[tuple[str, str]]()

    def refuse(path: str) -> bool:
        seen.append((placed(changed), placed(changed, suffix=".new")))
        return path == ROUTES

    changed.refuses = refuse
    with pytest.raises(ApplyError, match="was rejected by its own program"):
        changed.apply(given())
    assert seen == [(was, "another")]
    assert placed(changed) == recorded(changed) == was and routes(changed) == file


def test_the_node_program_does_not_wait(running: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    change_bundle(monkeypatch, "node")
    fail_with_packages(running)
    assert (running.root / "lib/node/digest").read_text() == "another"


def test_wherever_a_run_is_killed_the_bundle_is_there_after_the_next_one_and_its_reader_told(
    changed: FakeNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    was, file, kept = placed(changed), routes(changed), changed.root.with_name("kept")
    shutil.copytree(changed.root, kept, symlinks=True)
    rename: Callable[[pathlib.Path, pathlib.Path], pathlib.Path] = pathlib.Path.rename
    replace: Callable[[pathlib.Path, pathlib.Path], pathlib.Path] = pathlib.Path.replace
    for cut in range(100):
        shutil.rmtree(changed.root)
        shutil.copytree(kept, changed.root, symlinks=True)
        left = cut

        def step(path: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
            nonlocal left
            if "opensips" not in target.name and target.name != "routes.cfg":
                return replace(path, target)
            if not left:
                raise Killed
            left -= 1
            return rename(path, target)

        with pytest.MonkeyPatch.context() as cutting:
            cutting.setattr(pathlib.Path, "rename", step)
            cutting.setattr(pathlib.Path, "replace", step)
            try:
                changed.apply(given())
                break
            except Killed:
                assert recorded(changed) == was
        fail_with_packages(changed)
        assert placed(changed) in (was, "another")
        changed.apply(given())
        assert placed(changed) == recorded(changed) == "another" and routes(changed) != file
        assert changed.asked == BUNDLES["opensips"]
    assert cut == 3, "out of the way, into place, the file"


@pytest.mark.parametrize(("text", "mode"), [("", 0o644), ("#!/bin/sh\n", 0o755)])
def test_a_command_that_was_written_half_is_whole_after_the_next_run(running: FakeNode, text: str, mode: int) -> None:
    command = running.root / "sbin/webitel-node"
    whole = command.read_text()
    command.write_text(text)
    command.chmod(mode)
    running.apply(given())
    assert (command.read_text(), command.stat().st_mode & 0o777) == (whole, 0o755)


def test_a_bundle_is_on_the_disk_before_it_takes_the_place_of_the_former(
    running: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut leaves empty files where the node program was, and no unit starts."""
    steps: list[str] = []
    run, rename = FakeNode.run, pathlib.Path.rename

    def watch_run(self: FakeNode, command: list[str], **more: object) -> subprocess.CompletedProcess[str]:
        if command[:2] == ["sync", "-f"]:
            steps.extend(f"sync {Path(path).name}" for path in command[2:])
        return run(self, command, **more)

    def watch_rename(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            steps.append(f"place {self.name}")
        return rename(self, target)

    monkeypatch.setattr(subprocess, "run", lambda command, **more: watch_run(running, command, **more))
    monkeypatch.setattr(pathlib.Path, "rename", watch_rename)
    change_bundle(monkeypatch, "opensips")
    running.apply(given())
    for name in ("node.new", "opensips.new"):
        assert steps.index(f"sync {name}") < steps.index(f"place {name}")


def test_units_find_the_former_program_where_a_run_was_cut_off_between_two_renames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "PROGRAM", tmp_path / "node")
    shutil.copytree(Path(install.__file__).parent, configuration.bundle_place("node", configuration.OLD))
    wrapper = tmp_path / "webitel-node"
    wrapper.write_text(configuration.make_wrapper())
    shown = subprocess.run(["sh", str(wrapper), "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert shown.returncode == 0 and "status" in shown.stdout, shown.stderr
