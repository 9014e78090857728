"""What the resource type `Health` does: asks every node until every service of the deployment does its work."""

import asyncio
import time
from collections.abc import Mapping

import asyncssh
from pydantic import BaseModel, ConfigDict

from cloud_init.node_command import node_command
from components.model import resource_types
from components.model.report import (
    NodeReport,
    Reports,
    describe_all,
    describe_first,
    is_healthy,
    list_services,
    make_silent_report,
    read_report,
)
from components.ssh import SshError, Target, WrongHostKey, connect, explain, merge_pins, read_key
from components.ssh_session import Session
from provider.cancel import run_cancellable
from provider.handler import Changes, Handler, PartialFailure, ProviderError, Request, changed_inputs
from provider.values import Properties

_STATUS = node_command("status", "--json")
_PAUSE_SECONDS = 1.0  # between two rounds, at least
_MAX_PAUSE_SECONDS = 4.0
_ROUNDS = 2  # healthy ones in a row
_ANSWER_SECONDS = 30  # the node program needs at most 10 of its own
_CONNECT_SECONDS = 5
_LOG_LINES = 10
_ADMIT_PAUSE_SECONDS = 10.0  # Consul needs some to see that a machine is gone


class NodeToAsk(Target):
    """A node, the pinned host keys (its own and those of its jump hosts) and how many services it has."""

    host_keys: dict[str, str]
    services: int


class HealthInputs(BaseModel):
    """`nodes` and `digests` (of their configurations) by key; `timeout` in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    nodes: dict[str, NodeToAsk]
    private_key: str
    digests: dict[str, str]
    timeout: float

    @property
    def pins(self) -> dict[str, str]:
        """Return the host keys of all machines by id."""
        return merge_pins((node.machine_id, node.host_keys) for node in self.nodes.values())

    @property
    def services(self) -> int:
        """Count the services of all nodes."""
        return sum(node.services for node in self.nodes.values())


class Health(Handler):
    """Inputs: HealthInputs. Outputs: healthy, services (how many) and seconds. A failure is recorded, so that the next
    run asks again."""

    type = resource_types.HEALTH

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        return Changes([key for key in changed_inputs(old, new) if key in ("digests", "nodes")])

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        return "health", _wait(request, HealthInputs.model_validate(inputs))

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        return _wait(request, HealthInputs.model_validate(new))

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        """Touches nothing."""


def _wait(request: Request, wanted: HealthInputs) -> Properties:
    start = time.monotonic()
    reports: dict[str, NodeReport] = {}
    try:
        run_cancellable(request, _ask_until_healthy(request, wanted, reports))
    except ProviderError as error:
        left = {"healthy": False, "services": wanted.services, "seconds": 0}
        raise PartialFailure(str(error), "health", left) from error
    return {"healthy": True, "services": wanted.services, "seconds": round(time.monotonic() - start, 1)}


async def _ask_until_healthy(request: Request, wanted: HealthInputs, reports: dict[str, NodeReport]) -> None:
    end = time.monotonic() + wanted.timeout
    key = read_key(wanted.private_key)
    askers = {name: _Asker(name, node, key, wanted.pins) for name, node in wanted.nodes.items()}
    good, admitting = 0, -_ADMIT_PAUSE_SECONDS
    try:
        while good < _ROUNDS:
            asked = time.monotonic()
            is_last = asked > end
            answers = await asyncio.gather(*(asker.ask(brief=not is_last) for asker in askers.values()))
            reports.update(zip(askers, answers, strict=True))
            good = good + 1 if is_healthy(reports) else 0
            request.progress(describe_progress(reports, wanted.services))
            outside = [key for key, report in reports.items() if report.shut_out]
            if outside and time.monotonic() - admitting > _ADMIT_PAUSE_SECONDS:
                admitting = time.monotonic()
                await _admit(request, askers, {key: reports[key].node for key in outside})
            if not good and is_last:
                raise ProviderError(describe_failure(reports, wanted.timeout))
            if good < _ROUNDS:
                # A node takes long to answer while it starts, and would start later for being asked all the time.
                await asyncio.sleep(min(max(_PAUSE_SECONDS, time.monotonic() - asked), _MAX_PAUSE_SECONDS))
    finally:
        for asker in askers.values():
            asker.close()


async def _admit(request: Request, askers: Mapping[str, "_Asker"], outside: Mapping[str, str]) -> None:
    """Have the others let in the new machines of these nodes, names by key: Consul's key and certificate are being rotated, and
    that waits for the machines of before (`cloud_init/node/clusters/newcomers.py`)."""
    for node in outside.values():
        inside = [asker for key, asker in askers.items() if key not in outside]
        for said in await asyncio.gather(*(asker.run(node_command("admit", node)) for asker in inside)):
            if said:
                request.progress(said)


class _Asker:
    """Asks one node again and again over one connection, which is reopened when it is lost."""

    def __init__(self, name: str, node: NodeToAsk, key: asyncssh.SSHKey, pins: dict[str, str]) -> None:
        self._name = name
        self._node = node
        self._pins = pins
        self._key = key
        self._session: Session | None = None

    async def ask(self, *, brief: bool) -> NodeReport:
        """Ask for the node's report; a brief one spares a node that is still starting from reading every journal."""
        command = f"{_STATUS} --brief" if brief else _STATUS
        try:
            if self._session is None or not self._session.is_open:
                self._session = await connect(self._node, [self._key], self._pins, seconds=_CONNECT_SECONDS, pin_new=True)
            done = await self._session.run(command, seconds=_ANSWER_SECONDS)
        except WrongHostKey:
            raise
        except SshError as error:
            return make_silent_report(self._name, "", str(error))
        except (OSError, asyncssh.Error, TimeoutError) as error:
            self.close()
            return make_silent_report(self._name, "", f"SSH to {self._node.address}: {explain(error)}")
        return read_report(self._name, "", done.output, done.errors, done.status)

    async def run(self, command: str) -> str:
        """Run another command where the node was reached; return what it said, "" where it failed."""
        if self._session is None or not self._session.is_open:
            return ""
        try:
            done = await self._session.run(command, seconds=_ANSWER_SECONDS)
        except (SshError, OSError, asyncssh.Error, TimeoutError):
            return ""  # the next round asks again
        return done.output.strip() if done.status == 0 else ""

    def close(self) -> None:
        if self._session:
            self._session.close()
        self._session = None


def describe_progress(reports: Reports, services: int) -> str:
    """Describe the first service that is not healthy: `21 of 22 services: waiting for data-1 rabbitmq: no quorum yet`."""
    text = f"{sum(service.healthy for service in list_services(reports))} of {services} services"
    first = describe_first(reports)
    return f"{text}: waiting for {first}" if first else text


def describe_failure(reports: Reports, seconds: float) -> str:
    """Describe every node's faults with their last log lines."""
    lines = list(describe_all(reports, _LOG_LINES))
    if not lines:
        lines = ["every service was healthy at the last check, but not twice in a row"]
    return "\n".join([f"not healthy within {seconds:g} s (webitel:health_timeout):", *(f"  {line}" for line in lines)])
