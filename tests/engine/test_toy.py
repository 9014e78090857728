"""What a user sees of a provider that stands on `provider.server`."""

import pytest

from tests.engine.conftest import Toy

pytestmark = pytest.mark.engine

PASSWORD = "correct-horse-battery"
NOTE = {"text": "one\ntwo\nthree\n", "password": PASSWORD, "size": 2}


def test_create_update_delete(toy: Toy) -> None:
    toy.want({"a": NOTE})
    assert "a-length  : 14" in toy.up()
    assert (toy.world / "note-a").read_text() == NOTE["text"]
    steps = [event for event in toy.read_events("diagnosticEvent") if event["urn"].endswith("::a")]
    assert [event["message"].strip() for event in steps] == ["step 1/2 with [secret]", "step 2/2 with [secret]"]
    assert all(event["ephemeral"] for event in steps)

    assert "2 unchanged" in toy.up("--expect-no-changes")

    toy.want({"a": {**NOTE, "text": "one\n2\nthree\n"}})
    lines = [line.strip() for line in toy.run("preview", "--diff").splitlines()]
    at = lines.index("~ text:")
    assert lines[at + 1 : at + 5] == ["one", "- two", "+ 2", "three"]
    assert (toy.world / "note-a").read_text() == NOTE["text"]
    assert "~ 1 updated" in toy.up()
    assert (toy.world / "note-a").read_text() == "one\n2\nthree\n"

    toy.want({})
    toy.up()
    assert not (toy.world / "note-a").exists()


def test_secret_is_masked_and_encrypted(toy: Toy) -> None:
    toy.want({"a": NOTE})
    preview = toy.run("preview", "--diff")
    assert "password: [secret]" in preview
    shown = preview + toy.up() + toy.run("stack", "output") + toy.events.read_text() + toy.read_state()
    assert PASSWORD not in shown
    assert "token of a" not in shown
    assert toy.run("stack", "output", "a-password", "--show-secrets").strip() == PASSWORD
    assert "token of a" in toy.run("stack", "export", "--show-secrets")


def test_check_failure_names_the_property_in_preview(toy: Toy) -> None:
    toy.want({"a": {**NOTE, "size": 0}})
    shown = toy.run("preview", fails=True)
    assert "toy:index:Note resource 'a': property size value {0} has a problem: must be at least 1" in shown
    assert PASSWORD not in shown


def test_errors_are_shown_whole_and_filtered(toy: Toy) -> None:
    faulty = {"type": "Faulty", "password": PASSWORD}
    shown = ""
    for wanted in ({**faulty, "known": True}, faulty, {"type": "Unheard"}):
        toy.want({"f": wanted})
        shown += toy.up(fails=True)
    assert "error: no room:\n      first [secret]\n      second\n" in shown
    assert "KeyError: '[secret]'\n    (a fault of the provider, at tests/engine/toy_provider.py:" in shown
    assert "provider toy has no resource type toy:index:Unheard, only: toy:index:Faulty, toy:index:Note" in shown
    assert PASSWORD not in shown


def test_partial_failure_is_recorded_and_resumed(toy: Toy) -> None:
    (toy.world / "broken").touch()
    toy.want({"a": NOTE})
    shown = toy.up(fails=True)
    assert "note-a is there but broken:\n      last line of its log: [secret]" in shown
    assert PASSWORD not in shown + toy.read_state()
    (toy.world / "broken").unlink()
    resumed = toy.up()
    assert "~ 1 updated" in resumed
    assert "created" not in resumed
    assert "2 unchanged" in toy.up("--expect-no-changes")


def test_works_from_a_subfolder_and_with_cwd_option(toy: Toy) -> None:
    toy.want({"a": NOTE})
    toy.up()
    below = toy.folder / "stacks/deeper"
    below.mkdir(parents=True)
    assert "2 unchanged" in toy.run("preview", "-C", str(below))


def test_missing_environment_is_told(toy: Toy) -> None:
    (toy.folder / ".venv").unlink()
    toy.want({"a": NOTE})
    assert "The project's Python environment is missing" in toy.run("preview", fails=True)


def test_failing_program_is_told(toy: Toy) -> None:
    (toy.folder / "__main__.py").write_text("import pulumi\nraise pulumi.RunError('webitel:domain = ?: not a domain')\n")
    shown = toy.run("preview", fails=True)
    assert "error: webitel:domain = ?: not a domain" in shown
    assert "Traceback" not in shown
