"""What a resource type implements, and what it is told about the call it serves."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, NamedTuple

from provider.values import Properties

Severity = Literal["info", "warning"]
Log = Callable[[Severity, str, str, bool], None]  # severity, text, urn, ephemeral


class Failure(NamedTuple):
    """An input that cannot be right: its name (a path such as `disks[0].size`) and why."""

    property: str
    reason: str


class Changes(NamedTuple):
    """Result of a diff: the top-level inputs that changed, and those of them that need a new resource."""

    changed: Sequence[str]
    replaces: Sequence[str] = ()
    delete_before_replace: bool = False


class ProviderError(Exception):
    """Ends a call; its message, on several lines if need be, is shown in full under the resource."""


class Cancelled(ProviderError):
    """The user interrupted the update, or the engine is gone."""

    def __init__(self) -> None:
        super().__init__("cancelled: run the update again to resume here")


class PartialFailure(ProviderError):
    """The resource exists but is not what was asked for: it is recorded, and the next update resumes with an update."""

    def __init__(self, message: str, id: str, outputs: Properties) -> None:
        super().__init__(message)
        self.id = id
        self.outputs = outputs


class Request:
    """One call of the engine."""

    def __init__(
        self,
        urn: str,
        *,
        preview: bool = False,
        timeout: float | None = None,
        log: Log | None = None,
        settings: Properties | None = None,
    ) -> None:
        self.urn = urn
        # urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>
        parts = urn.split("::", 3)
        self.name = parts[-1]
        self.type = parts[2].rpartition("$")[2] if len(parts) == 4 else ""
        self.preview = preview
        self.timeout = timeout
        """Seconds the user allows (`customTimeouts`); None where they set no limit."""
        self.settings: Properties = settings or {}
        """What the provider that is called was configured with: several of one kind have one process to attach to."""
        self.cancelled = threading.Event()
        """Set when the user interrupts or the engine is gone: every wait looks at it."""
        self._log = log or (lambda severity, text, urn, ephemeral: None)
        self._shown = ""

    def progress(self, text: str) -> None:
        """Show the text in the resource's own row until the next one."""
        if text != self._shown:
            self._shown = text
            self._log("info", text, self.urn, True)

    def info(self, text: str) -> None:
        """Leave the text as a diagnostic of the resource."""
        self._log("info", text, self.urn, False)

    def warn(self, text: str) -> None:
        """Leave the text as a warning of the resource."""
        self._log("warning", text, self.urn, False)

    def sleep(self, seconds: float) -> None:
        """Wait; raise Cancelled as soon as the call is cancelled."""
        if self.cancelled.wait(seconds):
            raise Cancelled


class Handler(ABC):
    """One resource type. Values are plain Python; a value that a preview does not know yet is `UNKNOWN`.

    Calls of different resources run at the same time in different threads. Every method may raise ProviderError.
    `check` and `diff` are called in previews too, without being told so: they touch nothing.
    """

    type: ClassVar[str]  # such as "webitel:index:Secrets"

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        """Return the inputs with defaults filled in, and what is wrong with them. `old` is None at creation."""
        return new, []

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        """Compare old and new inputs."""
        return Changes(changed_inputs(old, new))

    @abstractmethod
    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        """Create the resource; return its id, not empty, and its outputs."""

    def preview_create(self, request: Request, inputs: Properties) -> Properties:
        """Return the outputs known before creation; those not named are unknown to the program."""
        return {}

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        """Return inputs and outputs as they really are, None when the resource is gone."""
        return inputs, outputs

    def find_imported(self, id: str) -> str:
        """Return the id of what is imported, from the one that the user gave."""
        return id

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        """Change the resource in place and return its outputs; also called to resume after a PartialFailure."""
        raise ProviderError(f"{self.type} cannot be changed in place")

    def preview_update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        """Return the outputs known before the update; those not named are unknown to the program."""
        return {}

    def delete(  # noqa: B027 - most types leave nothing behind
        self, request: Request, id: str, inputs: Properties, outputs: Properties
    ) -> None:
        """Delete the resource; one that is gone already is no error."""


def changed_inputs(old: Properties, new: Properties) -> list[str]:
    """Return the names of the top-level inputs that differ, sorted; an unknown value differs from every other."""
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
