"""A provider that runs by itself and outlives the engine's runs, as the simulated clouds do."""

from collections.abc import Iterator

import pytest

from provider.server import UNKNOWN, Handler, Properties, Provider, ProviderError, Request
from tests.engine.conftest import Toy

pytestmark = pytest.mark.engine


class Note(Handler):
    type = "toy:index:Note"

    def __init__(self) -> None:
        self.made: list[str] = []

    def preview_create(self, request: Request, inputs: Properties) -> Properties:
        return {"length": UNKNOWN}

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        request.progress("writing")
        if inputs["text"] == "refused":
            raise ProviderError("quota: no more notes")
        self.made.append(request.name)
        return f"id-{request.name}", {"length": len(inputs["text"])}


@pytest.fixture
def note(toy: Toy) -> Iterator[Note]:
    handler = Note()
    provider = Provider("toy", "1.0.0", [handler])
    toy.environment["PULUMI_DEBUG_PROVIDERS"] = f"toy:{provider.start()}"
    yield handler
    provider.stop(0)


def test_serves_run_after_run(toy: Toy, note: Note) -> None:
    toy.want({"a": {"text": "abc"}})
    assert "a-length  : [unknown]" in toy.run("preview", "--diff")
    assert note.made == []
    assert "a-length: 3" in toy.up()
    toy.want({"a": {"text": "abc"}, "b": {"text": "refused"}})
    assert "error: quota: no more notes" in toy.up(fails=True)
    toy.want({"a": {"text": "abc"}, "b": {"text": "fine"}})
    assert "b-length: 4" in toy.up()
    assert note.made == ["a", "b"]
    assert any(event["message"].strip() == "writing" for event in toy.read_events("diagnosticEvent"))
    assert not (toy.world / "provider.pid").exists()  # the engine started none of its own
