"""A provider for the tests of `provider.server` with the real engine, which starts it by `pulumi-resource-toy`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from provider.server import (
    Changes,
    Failure,
    Handler,
    PartialFailure,
    Properties,
    Provider,
    ProviderError,
    Request,
    secret,
)

WORLD = Path(os.environ["TOY_WORLD"])  # a folder: what exists, as files


class Note(Handler):
    type = "toy:index:Note"

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        if new.get("size", 1) == 0:
            return new, [Failure("size", f"must be at least 1, got {new['size']} with {new.get('password')}")]
        return {"size": 1, **new}, []

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        changes = super().diff(request, id, old, outputs, new)
        return changes._replace(replaces=[name for name in changes.changed if name == "place"])

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        for step in range(1, inputs["size"] + 1):
            request.progress(f"step {step}/{inputs['size']} with {inputs.get('password')}")
            request.sleep(inputs.get("pause", 0))
        return f"note-{request.name}", self.update(request, f"note-{request.name}", {}, {}, inputs)

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        (WORLD / id).write_text(new.get("text", ""))
        made = {
            "password": new.get("password"),
            "token": secret(f"token of {request.name}"),
            "length": len(new.get("text", "")),
        }
        if (WORLD / "broken").exists():
            raise PartialFailure(f"{id} is there but broken:\n  last line of its log: {new.get('password')}", id, made)
        return made

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        (WORLD / id).unlink()


class Faulty(Handler):
    type = "toy:index:Faulty"

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        if "known" in inputs:
            raise ProviderError(f"no room:\n  first {inputs['password']}\n  second")
        return inputs[inputs["password"]], {}


def note_end(status: int, leave: Callable[[int], NoReturn] = os._exit) -> NoReturn:
    """The provider's last act: what was killed has no note."""
    (WORLD / "provider.ended").touch()
    leave(status)


if __name__ == "__main__":
    (WORLD / "provider.pid").write_text(str(os.getpid()))
    os._exit = note_end
    Provider("toy", "1.0.0", [Note(), Faulty()]).serve(sys.argv[-1])
