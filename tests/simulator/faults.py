"""Failures on request: a file of rules that is read at every call.

A rule: `{"kind": ..., "operation": "create", "type": "server:Server", "match": {"serverType": "ccx33"}, "nth": 2,
"times": 1}`. `operation` (default create; `change` is a create, an update or a delete), `type` (the end of a token) and
`match` (inputs) choose calls, `nth` (from 1) the first of them that is hit, `times` how many (default 1, 0 = all). With
`"each": true` the first call of every resource and operation is hit, and no later one. Kinds:

- `capacity`, `quota`: the API's own words for it. `error`: an internal error of the API.
- `rate`: too many requests; providers wait and try again by themselves, five times.
- `cut`: it is done, the answer never comes: the call hangs until the engine is gone. `stuck`: likewise, and it is not done.
  `lost`: done, but the connection breaks.
- `slow`: takes `seconds` longer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from provider.server import Cancelled, Properties, ProviderError, Request
from tests.simulator.world import Refused

RETRIES = 5
_PAUSE = 0.01  # seconds; the real ones wait for seconds to minutes
_AFTER = ("cut", "lost")
_CHANGES = ("create", "update", "delete")


class Faults:
    """The rules of one file, and how often each was met since the file last changed."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.cut = threading.Event()
        """Set as soon as a call hangs by `cut` or `stuck`."""
        self.calls: list[str] = []
        """Operation, type and name of every call that changes something, in the order in which they came."""
        self.hits = 0
        """How many calls a rule hit."""
        self._lock = threading.Lock()
        self._text = ""
        self._rules: list[Mapping[str, Any]] = []
        self._met: list[int] = []
        self._hit: set[tuple[str, str]] = set()

    def before(self, request: Request, operation: str, inputs: Properties, words: Mapping[str, str]) -> None:
        """Fails as the first rule says that hits this call; `words` are the cloud's, by kind."""
        if operation in _CHANGES:
            self.calls.append(f"{operation} {request.type} {request.name}")
        for attempt in range(RETRIES + 1):
            rule = self._find(request, operation, inputs, lambda kind: kind not in _AFTER)
            if rule is None:
                return
            kind = rule["kind"]
            if kind == "stuck":
                self._hang(request)
            if kind == "slow":
                request.sleep(rule["seconds"])
                return
            if kind != "rate" or attempt == RETRIES:
                raise Refused(words[kind].format_map(_Known(inputs)))
            request.sleep(_PAUSE)

    def after(self, request: Request, operation: str, inputs: Properties) -> None:
        """Loses the answer to a call that was done."""
        rule = self._find(request, operation, inputs, lambda kind: kind in _AFTER)
        if rule is None:
            return
        if rule["kind"] == "lost":
            raise ProviderError("read: connection reset by peer")
        self._hang(request)

    def _hang(self, request: Request) -> NoReturn:
        self.cut.set()
        request.cancelled.wait()
        raise Cancelled

    def _find(
        self,
        request: Request,
        operation: str,
        inputs: Properties,
        is_wanted: Callable[[str], bool],
    ) -> Mapping[str, Any] | None:
        with self._lock:
            self._load()
            for index, rule in enumerate(self._rules):
                wanted = rule.get("operation", "create")
                if not is_wanted(rule["kind"]) or (operation not in _CHANGES if wanted == "change" else operation != wanted):
                    continue
                if not request.type.endswith(rule.get("type", "")):
                    continue
                if any(inputs.get(name) != value for name, value in rule.get("match", {}).items()):
                    continue
                if rule.get("each"):
                    if (call := (operation, request.urn)) in self._hit:
                        continue
                    self._hit.add(call)
                    self.hits += 1
                    return rule
                self._met[index] += 1
                beyond = self._met[index] - rule.get("nth", 1)
                if beyond >= 0 and (rule.get("times", 1) == 0 or beyond < rule.get("times", 1)):
                    self.hits += 1
                    return rule
        return None

    def _load(self) -> None:
        text = self.file.read_text() if self.file and self.file.exists() else ""
        if text != self._text:
            self._text = text
            self._rules = json.loads(text) if text.strip() else []
            self._met = [0] * len(self._rules)
            self._hit.clear()


class _Known(dict[str, Any]):
    """Inputs for a text that names some of them."""

    def __missing__(self, name: str) -> str:
        return "?"
