"""No number that an adapter sends may be any: one far too small or far too large is refused by the simulated cloud."""

from __future__ import annotations

import copy
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.clouds.registry import CLOUDS
from provider.handler import ProviderError, Request
from provider.server import Provider
from provider.values import Properties
from tests.clouds.conformance.program import CLOUD_CONFIG, ProgramError
from tests.clouds.conformance.test_conformance import APART, MANY, WIDE, build
from tests.long_form import LONG
from tests.simulator.bugs import Draft, put
from tests.simulator.faults import Faults
from tests.simulator.simulators import make_provider
from tests.simulator.world import copy_world

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

REAL = [name for name, cloud in CLOUDS.items() if cloud.real]
WRONG = (-7, 10**9)

FREE: Mapping[tuple[str, str, int], str] = {
    ("libvirt:index/volume:Volume", "size", 10**9): "bytes: a disk of a gigabyte is one",
    ("proxmoxve:index/vmLegacy:VmLegacy", "timeoutShutdownVm", 10**9): "seconds: no more than patience",
    ("vsphere:index/virtualMachine:VirtualMachine", "waitForGuestNetTimeout", -7): "less than one waits for nothing, as 0 does",
    ("vsphere:index/virtualMachine:VirtualMachine", "waitForGuestNetTimeout", 10**9): "minutes: no more than patience",
    ("xenorchestra:index/vm:Vm", "disks.*.size", 10**9): "bytes: a disk of a gigabyte is one",
    ("xenorchestra:index/vm:Vm", "memoryMin", 10**9): "bytes: a machine may have less at times",
}
"""By type, path and wrong value: numbers that a simulator takes, and why."""


def list_numbers(value: Any, path: str = "") -> Iterator[str]:
    """The paths of the numbers inside inputs, those in texts that are nothing else included."""
    if (isinstance(value, (int, float)) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdecimal()):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from list_numbers(item, f"{path}.{key}".lstrip("."))


def make_folder(parent: Path) -> Path:
    """A folder for one more world."""
    return Path(tempfile.mkdtemp(dir=parent))


class Numbers:
    """Tries every number of every registration on copies of the world as it is then; `taken` are those that are not refused."""

    def __init__(self, cloud: str, world: Path, folder: Path) -> None:
        self.cloud, self.world, self.folder = cloud, world, folder
        self.settings: Properties = dict(CLOUD_CONFIG.get(CLOUDS[cloud].package, {}))
        self.seen: set[tuple[str, str]] = set()
        self.taken: list[tuple[str, str, str, int]] = []
        self.lock = threading.Lock()

    def __call__(self, draft: Draft) -> None:
        with self.lock:  # the program registers from several threads
            self._look(draft)

    def _look(self, draft: Draft) -> None:
        if draft.type.startswith("pulumi:providers:"):
            self.settings = draft.inputs
        elif not draft.type.startswith(("webitel:", "pulumi:")):
            new = {path for path in list_numbers(draft.inputs) if (draft.type, shape_of(path)) not in self.seen}
            if new:
                assert not self._is_refused(self._copy(), draft), "not even the right numbers are taken"
            for path in sorted(new):
                self.seen.add((draft.type, shape_of(path)))
                for number in WRONG:
                    self._try(draft, path, number)

    def _try(self, draft: Draft, path: str, number: int) -> None:
        wrong = copy.deepcopy(draft)
        put(path, lambda old: str(number) if isinstance(old, str) else number)(wrong)
        if not self._is_refused(self._copy(), wrong):
            self.taken.append((draft.type, draft.name, path, number))

    def _copy(self) -> Provider:
        world = copy_world(self.world, make_folder(self.folder) / self.world.name)
        provider = make_provider(self.cloud, world, Faults(None))
        assert provider.configure
        provider.configure(self.settings)
        return provider

    @staticmethod
    def _is_refused(provider: Provider, draft: Draft) -> bool:
        handler = provider.handlers[draft.type]
        request = Request(f"urn:pulumi:stack::webitel::{draft.type}::{draft.name}")
        inputs, failures = handler.check(request, None, copy.deepcopy(draft.inputs))
        if failures:
            return True
        try:
            handler.create(request, inputs)
        except ProviderError:
            return True
        return False


def shape_of(path: str) -> str:
    """A path without the places in lists."""
    return ".".join("*" if part.isdigit() else part for part in path.split("."))


@pytest.mark.parametrize("cloud", REAL)
# Other tiers and several zones in the long form only.
@pytest.mark.parametrize("kind", ["wide", "apart", "many", "single"] if LONG else ["wide"])
def test_no_number_may_be_any(cloud: str, kind: str, tmp_path: Path) -> None:
    tier, changes = {
        "wide": ("basic", WIDE),
        "apart": ("basic", APART.get(cloud, {})),
        "many": ("extended", MANY),
        "single": ("single", {}),
    }[kind]
    stack = f"{cloud}-{tier}"
    first = make_folder(tmp_path)
    numbers = Numbers(cloud, first / "world.jsonl", tmp_path)
    build(stack, first, changes, tamper=numbers)
    assert numbers.seen
    taken = set()
    for type, name, path, number in numbers.taken:
        # What its own creation allows may be refused by what follows.
        def plant(draft: Draft, type: str = type, name: str = name, path: str = path, number: int = number) -> None:
            if (draft.type, draft.name) == (type, name):
                put(path, lambda old: str(number) if isinstance(old, str) else number)(draft)

        try:
            build(stack, make_folder(tmp_path), changes, tamper=plant)
        except ProgramError:
            continue
        taken.add((type, shape_of(path), number))
    assert taken == {one for one in FREE if one[0].partition(":")[0] == CLOUDS[cloud].package}
