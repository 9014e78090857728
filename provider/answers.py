"""What the engine is told apart from values: which inputs differ, and how a call failed."""

import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import status_pb2

from provider.handler import Changes
from provider.values import Properties

_ROOT = Path(__file__).resolve().parent.parent


class AnswerStatus(grpc.Status):
    """How a call failed, with details that the engine reads."""

    def __init__(self, code: grpc.StatusCode, message: str, details: list[Any]) -> None:
        self.code = code
        self.details = message
        status = status_pb2.Status(code=code.value[0], message=message, details=details)
        self.trailing_metadata = (("grpc-status-details-bin", status.SerializeToString()),) if details else ()


def answer_diff(changes: Changes, old: Properties, new: Properties) -> Any:
    """Tell the engine which inputs differ, down to the entry of a map."""
    changed = sorted({*changes.changed, *changes.replaces})  # the engine looks at replaces only where diffs name them
    details = {
        path: pb.PropertyDiff(kind=_REPLACING[kind] if name in changes.replaces else kind, inputDiff=True)
        for name in changed
        for path, kind in (list(_describe_change(name, old.get(name), new.get(name))) or [(name, pb.PropertyDiff.UPDATE)])
    }
    return pb.DiffResponse(
        changes=pb.DiffResponse.DIFF_SOME if changed else pb.DiffResponse.DIFF_NONE,
        diffs=changed,
        replaces=changes.replaces,
        deleteBeforeReplace=changes.delete_before_replace,
        # Without paths a preview shows every entry of a map in which one has changed.
        detailedDiff=details,
        hasDetailedDiff=bool(details),
    )


_REPLACING = {
    pb.PropertyDiff.ADD: pb.PropertyDiff.ADD_REPLACE,
    pb.PropertyDiff.DELETE: pb.PropertyDiff.DELETE_REPLACE,
    pb.PropertyDiff.UPDATE: pb.PropertyDiff.UPDATE_REPLACE,
}


def _describe_change(path: str, old: object, new: object) -> Iterator[tuple[str, pb.PropertyDiff.Kind.ValueType]]:
    """Yield the paths that differ below a map, each with the kind of its change."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                yield from _describe_change(f"{path}[{json.dumps(key)}]", old.get(key), new.get(key))
    elif old is None:
        yield path, pb.PropertyDiff.ADD
    elif new is None:
        yield path, pb.PropertyDiff.DELETE
    else:
        yield path, pb.PropertyDiff.UPDATE


def describe_fault(error: Exception) -> str:
    """Say what an exception that nobody foresaw is about and where in our code it happened."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_ROOT) and ".venv" not in frame.filename]
    last = (ours or frames)[-1]
    file = Path(last.filename)
    place = file.relative_to(_ROOT) if file.is_relative_to(_ROOT) else file.name
    return f"{type(error).__name__}: {error}\n(a fault of the provider, at {place}:{last.lineno} in {last.name})"
