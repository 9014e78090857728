"""Templates are compiled once a checkout: a run reads what another one has made of them, unless they have changed."""

import sys
from pathlib import Path

import pytest
from jinja2 import Environment

from cloud_init.templates import OPTIONS, template_environment

NAME = "base.yaml.j2"
make = template_environment.__wrapped__


@pytest.fixture(autouse=True)
def writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the templates that were compiled."""
    names: list[str] = []
    compile = Environment.compile

    def note(self: Environment, source: str, name: str, *more: object) -> object:
        names.append(name)
        return compile(self, source, name, *more)  # type: ignore[call-overload]

    monkeypatch.setattr(Environment, "compile", note)
    return names


def test_another_run_compiles_nothing(tmp_path: Path, compiled: list[str]) -> None:
    make(tmp_path / "made").get_template(NAME)
    make(tmp_path / "made").get_template(NAME)
    assert compiled == [NAME]


def test_other_options_compile_anew(tmp_path: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path).get_template(NAME)
    monkeypatch.setitem(OPTIONS, "trim_blocks", False)
    make(tmp_path).get_template(NAME)
    assert compiled == [NAME, NAME]


def test_a_checkout_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path, compiled: list[str]) -> None:
    missing = tmp_path / "missing" / "folder"
    make(missing).get_template(NAME)
    assert compiled == [NAME] and not missing.exists()


def test_nothing_is_kept_where_python_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    make(tmp_path).get_template(NAME)
    assert list(tmp_path.iterdir()) == []
