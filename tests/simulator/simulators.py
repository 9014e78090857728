"""The simulated clouds as the engine sees them: one gRPC provider each, on one world."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.clouds.registry import CLOUDS
from provider.server import Properties, Provider, ProviderError, Request
from tests.simulator import account as accounts
from tests.simulator import webitel
from tests.simulator.account import Function
from tests.simulator.attached import Attached
from tests.simulator.call import Account
from tests.simulator.faults import Faults
from tests.simulator.interface import Interface
from tests.simulator.resource import Simulated
from tests.simulator.world import World

PACKAGES: Mapping[str, str] = {name: cloud.package for name, cloud in CLOUDS.items() if cloud.real}
"""Cloud -> Pulumi package. A cloud's rules stand in `<cloud>/resources.py` and `<cloud>/machines.py`."""


def load_places(cloud: str) -> tuple[str, ...]:
    """The zones of a simulated cloud, or regions where it has no zones."""
    places: tuple[str, ...] = importlib.import_module(f"tests.simulator.{cloud}.functions").PLACES
    return places


def make_provider(cloud: str, world: World, faults: Faults) -> Provider:
    """The simulated provider of a cloud."""
    parts = ("resources", "machines", "functions")
    module, machines, own = (importlib.import_module(f"tests.simulator.{cloud}.{part}") for part in parts)
    account = Account(PACKAGES[cloud], world, faults, module.ERRORS)
    types: Sequence[type[Simulated]] = (*module.TYPES, *machines.TYPES)
    functions: Mapping[str, Function] = own.FUNCTIONS

    def configure(settings: Properties) -> None:
        module.check_settings(settings)
        account.settings = settings

    def invoke(request: Request, token: str, arguments: Properties) -> Properties:
        if token not in functions:
            raise ProviderError(f"function {token} is not simulated, only: {', '.join(functions) or 'none'}")
        request.type = token  # rules of failure name functions like types
        faults.before(request, "invoke", arguments, account.errors)
        accounts.read_facts(account)
        return functions[token](account, arguments)

    handlers = [one(account) for one in types]
    return Attached(account.package, account.schema.version, handlers, configure=configure, invoke=invoke)


class Simulators:
    """Providers that run in this process until `stop`. `folder` keeps the world, the faults and what nodes were given."""

    def __init__(self, folder: Path, clouds: Sequence[str] = tuple(PACKAGES)) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.world = World(folder / "world.jsonl")
        self.faults = Faults(folder / "faults.json")
        self.providers = [make_provider(cloud, self.world, self.faults) for cloud in clouds]
        self.providers.append(webitel.make_provider(self.world, self.faults))
        self.attached = ",".join(f"{provider.name}:{provider.start()}" for provider in self.providers)
        """The value of PULUMI_DEBUG_PROVIDERS."""
        self.interface = Interface(self.world)
        self.environment = self.interface.environment
        """Variables that lead our command line to a cloud's own interface."""

    def settle(self, seconds: float = 60) -> None:
        """Waits for the calls that were under way when their engine was killed: the cloud ends them, whoever asked.

        Twice idle with the same world, for a call that had arrived and not yet begun.
        """
        until, before = time.monotonic() + seconds, None
        while (now := self._idle_size()) is None or now != before:
            assert time.monotonic() < until, f"a simulated cloud still works on calls after {seconds:g} s"
            before = now
            time.sleep(0.2)

    def _idle_size(self) -> int | None:
        """How much is written of the world; None while a call is under way."""
        return None if any(provider.is_busy() for provider in self.providers) else self.world.file.stat().st_size

    def stop(self) -> None:
        """Ends every provider, also what hangs in it."""
        for provider in self.providers:
            provider.stop(0)
        self.interface.stop()
