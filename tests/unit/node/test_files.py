"""Files of a configuration on a node: placeholders, what counts as changed, checks, removal."""

import grp
import os
import pathlib
import pwd

import pytest

from cloud_init.node.apply import files
from cloud_init.node.manifest import FileEntry
from cloud_init.node.system import ApplyError

OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"
NOTHING = files.Placeholders({}, {})


def attributes(path: pathlib.Path, owner: str = OWNER, check: str = "") -> dict[str, FileEntry]:
    return {str(path): {"mode": "0640", "owner": owner, "actions": ["reload x"], "check": check}}


def test_placeholders_are_filled_and_a_missing_one_names_the_file() -> None:
    fill = files.Placeholders({"db-1": "10.0.0.1"}, {"broker_password": "s3cret"})
    assert fill.apply("a {{address:db-1}} {{secret:broker_password}} {{ other }}", "f") == "a 10.0.0.1 s3cret {{ other }}"
    with pytest.raises(ApplyError, match=r"/etc/x needs the address db-2"):
        fill.apply("{{address:db-2}}", "/etc/x")


def test_only_a_difference_is_written_and_acts(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "etc" / "x.conf"
    first = files.compare({str(path): "one\n"}, attributes(path), NOTHING, ())
    assert list(first.changed) == [str(path)] and first.actions == ["reload x"]
    files.write(first)
    assert path.read_text() == "one\n" and path.stat().st_mode & 0o777 == 0o640
    assert files.compare({str(path): "one\n"}, attributes(path), NOTHING, ()).changed == {}
    path.chmod(0o644)
    again = files.compare({str(path): "one\n"}, attributes(path), NOTHING, ())
    # Who runs has read it already.
    assert list(again.changed) == [str(path)] and again.actions == []
    files.write(again)
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_the_node_goes_on_from_is_written_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "certificate.pem"
    seed = attributes(path)
    seed[str(path)]["seed"] = True
    files.write(files.compare({str(path): "ours\n"}, seed, NOTHING, ()))
    assert path.read_text() == "ours\n"
    path.write_text("the issuer's\n")
    assert files.compare({str(path): "ours\n"}, seed, NOTHING, [str(path)]) == files.FilePlan(same=[str(path)])
    # Taken back by a configuration that has it as a file like any other.
    assert list(files.compare({str(path): "ours\n"}, attributes(path), NOTHING, ()).changed) == [str(path)]


def test_one_refused_file_changes_nothing_at_all(tmp_path: pathlib.Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    texts = {str(good): "new", str(bad): "wrong"}
    check = "grep -q right {path} || { echo line 1: no; exit 1; }"
    plan = files.compare(texts, attributes(good) | attributes(bad, check=check), NOTHING, ())
    with pytest.raises(ApplyError, match=r"bad was rejected by its own program \(grep\):\nline 1: no"):
        files.write(plan)
    assert not list(tmp_path.iterdir())


def test_what_is_no_longer_wanted_goes(tmp_path: pathlib.Path) -> None:
    old = tmp_path / "old"
    old.write_text("x")
    plan = files.compare({}, {}, NOTHING, [str(old), str(tmp_path / "gone")])
    files.write(plan)
    assert plan.removed == [str(old)] and not old.exists()


def test_an_owner_that_does_not_exist_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(ApplyError, match="owner nobody-like:this does not exist"):
        files.compare({str(path): ""}, attributes(path, owner="nobody-like:this"), NOTHING, ())


def test_a_changed_unit_file_asks_for_a_reload_of_the_manager(tmp_path: pathlib.Path) -> None:
    path = pathlib.Path("/etc/systemd/system/webitel-test-never-written.service")
    assert files.compare({str(path): "x"}, attributes(path), NOTHING, ()).actions == ["daemon-reload", "reload x"]


def test_line_ends_and_bytes_that_are_no_text_are_a_change(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "nginx.conf"
    for found in (b"one\r\ntwo\r\n", b"one\ntwo\n\xff"):
        path.write_bytes(found)
        path.chmod(0o640)
        plan = files.compare({str(path): "one\ntwo\n"}, attributes(path), NOTHING, ())
        assert plan.actions, found
        files.write(plan)
        assert path.read_bytes() == b"one\ntwo\n"


def test_a_check_sees_nothing_that_a_killed_run_staged(tmp_path: pathlib.Path) -> None:
    """A file that includes another looks for that one where it would be staged."""
    path, other = tmp_path / "opensips.cfg", tmp_path / "routes.cfg"
    other.write_text("routes\n")
    other.chmod(0o640)
    left = tmp_path / ".routes.cfg.webitel-new"
    left.write_text("of another version\n")
    entries = {**attributes(path), **attributes(other)}
    entries[str(path)]["check"] = f"! test -e {left} # {{path}}"
    files.write(files.compare({str(path): "main\n", str(other): "routes\n"}, entries, NOTHING, ()))
    assert path.read_text() == "main\n"
