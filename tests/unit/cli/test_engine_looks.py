"""How often the engine is started only to be asked: half a second each."""

from pathlib import Path

import pytest

from cli.engine.engine import Engine
from tests.unit.cli.fakes import make_engine

PULUMI = """
with open("asked", "a") as log:
    log.write(" ".join(sys.argv[1:3]) + "\\n")
asked = open("asked").read().splitlines()
if sys.argv[1:3] == ["stack", "ls"]:
    print("[]" if asked.count("stack ls") == 1 else '[{"name": "organization/webitel/local-basic"}]')
elif sys.argv[1:3] == ["stack", "export"]:
    print(json.dumps({"deployment": {"resources": [{"type": "a", "urn": str(len(asked))}]}}))
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """One that counts."""
    return make_engine(tmp_path, PULUMI)


def count(engine: Engine, words: str) -> int:
    """How often it was started with these."""
    return (engine.folder / "asked").read_text().splitlines().count(words)


def test_the_state_is_read_once_between_two_changes(engine: Engine) -> None:
    first = engine.resources()
    first.clear()
    assert engine.export()["deployment"]["resources"] == engine.resources() != []
    assert count(engine, "stack export") == 1
    engine.run("stack", "import")
    assert [one["urn"] for one in engine.resources()] == ["3"]
    # What runs beside us is given its whole command line, and started by others.
    engine.command("up")
    assert [one["urn"] for one in engine.resources()] == ["4"]


def test_a_stack_that_was_found_is_looked_for_once(engine: Engine) -> None:
    assert not engine.exists()
    assert engine.exists() and engine.exists()
    assert count(engine, "stack ls") == 2
    engine.run("stack", "rm")
    engine.exists()
    assert count(engine, "stack ls") == 3
