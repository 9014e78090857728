"""What the resource types of the platform `local` do: bridges, volumes and containers of Incus.

All names are the program's and deterministic. A create that may or may not have happened finds what it made by
name and adopts it when labels and inputs are equal; anything else of that name belongs to somebody else and is refused.
"""

from collections.abc import Callable
from functools import wraps
from ipaddress import IPv4Interface, IPv4Network
from typing import ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.model import resource_types
from provider.handler import Changes, Failure, Handler, ProviderError, Request, changed_inputs
from provider.values import UNKNOWN, Properties
from tools.incus import api
from tools.incus.forwarding import find_forwarding_problem
from tools.incus.network import (
    PRIVATE_BLOCKS,
    TEST_BLOCKS,
    describe_bridge,
    find_gateway,
    find_network_problem,
    read_gateway,
    read_routes,
)

P = ParamSpec("P")
T = TypeVar("T")

_LONGEST_BRIDGE_NAME = 15  # IFNAMSIZ
_DELETE_TRIES = 10  # a second apart


def show_refusals(method: Callable[P, T]) -> Callable[P, T]:
    """Show the user what Incus refuses as an error of the resource."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except api.IncusError as error:
            raise ProviderError(str(error)) from error

    return call


class LocalInputs(BaseModel):
    """Inputs common to all local resources; `labels` say whose they are, such as {"stack": "local-single"}."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[a-zA-Z][a-zA-Z0-9-]*$", max_length=63)
    labels: dict[str, str]

    def label_config(self) -> dict[str, str]:
        """Return the labels as configuration keys of Incus."""
        return {f"user.webitel.{key}": value for key, value in sorted(self.labels.items())}

    def owns(self, config: dict[str, str]) -> bool:
        """Tell whether an object with that configuration carries the same labels."""
        return all(config.get(key) == value for key, value in self.label_config().items())


class NetworkInputs(LocalInputs):
    """A bridge, with `nat` for what leaves it; its gateway is the first address of `cidr`. Not `routed`: no way in or
    out. `public`: it stands for the internet."""

    cidr: str
    nat: bool = True
    routed: bool = True
    public: bool = False

    @property
    def gateway(self) -> IPv4Interface:
        """Return the bridge's own address with its prefix length."""
        return find_gateway(IPv4Network(self.cidr))


class DiskInputs(LocalInputs):
    """A file system of its own that outlives machines."""

    purpose: str
    size_gib: int = Field(ge=1)


def find_failures(model: type[LocalInputs], new: Properties) -> list[Failure]:
    """Return what is wrong with the inputs as far as they are known."""
    try:
        model.model_validate(new)
    except ValidationError as error:
        return [
            Failure(".".join(str(part) for part in problem["loc"]), problem["msg"])
            for problem in error.errors()
            if problem["input"] is not UNKNOWN
        ]
    return []


class LocalNetwork(Handler):
    """Inputs: NetworkInputs. Outputs: name, gateway (address without prefix length)."""

    type = resource_types.LOCAL_NETWORK

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        failures = find_failures(NetworkInputs, new)
        name, cidr = new.get("name"), new.get("cidr")
        if not failures and isinstance(name, str) and isinstance(cidr, str):
            if len(name) > _LONGEST_BRIDGE_NAME:
                failures.append(Failure("name", f"{name}: at most {_LONGEST_BRIDGE_NAME} characters for a bridge"))
            wanted = NetworkInputs.model_validate(new)
            setting, blocks = ("public_network", TEST_BLOCKS) if wanted.public else ("network", PRIVATE_BLOCKS)
            problem = find_network_problem(name, cidr, read_routes(), setting, blocks)
            if problem:
                failures.append(Failure("cidr", problem))
        return new, failures

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        changed = changed_inputs(old, new)
        return Changes(changed, [key for key in changed if key != "labels"], delete_before_replace=True)

    @show_refusals
    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        wanted = NetworkInputs.model_validate(inputs)
        path = api.network_path(wanted.name)
        found = api.find(path)
        if found is None:
            request.progress(f"creating bridge {wanted.name}, {wanted.cidr}")
            body = {
                "name": wanted.name,
                "type": "bridge",
                "config": wanted.label_config() | describe_bridge(wanted.gateway, nat=wanted.nat, routed=wanted.routed),
            }
            api.call("POST", "/networks", body, pause=request.sleep)
        elif not wanted.owns(found["config"]) or read_gateway(found["config"]) != str(wanted.gateway):
            whose = "of this stack, but with another address," if wanted.owns(found["config"]) else "that is not this stack's"
            raise ProviderError(
                f"a network {wanted.name} {whose} already exists; if nobody needs it: incus network delete {wanted.name}"
            )
        problem = find_forwarding_problem(wanted.name)
        if problem:
            request.warn(problem)
        return wanted.name, self._outputs(wanted)

    def preview_create(self, request: Request, inputs: Properties) -> Properties:
        if UNKNOWN in inputs.values():
            return {}
        return self._outputs(NetworkInputs.model_validate(inputs))

    def _outputs(self, wanted: NetworkInputs) -> Properties:
        return {"name": wanted.name, "gateway": str(wanted.gateway.ip)}

    @show_refusals
    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        found = api.find(api.network_path(id))
        return (inputs, outputs) if found and NetworkInputs.model_validate(inputs).owns(found["config"]) else None

    @show_refusals
    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        wanted = NetworkInputs.model_validate(new)
        api.call("PATCH", api.network_path(id), {"config": wanted.label_config()}, pause=request.sleep)
        return self._outputs(wanted)

    @show_refusals
    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        request.progress(f"deleting bridge {id}")
        for left in reversed(range(_DELETE_TRIES)):
            try:
                api.remove(api.network_path(id), pause=request.sleep)
                return
            except api.IncusError as error:
                # Incus looks at every interface of the host and gives up when one disappears meanwhile, such as another bridge.
                if not left or "bridge children interfaces" not in str(error):
                    raise
            request.sleep(1)


class LocalDisk(Handler):
    """Inputs: DiskInputs. Outputs: name."""

    type = resource_types.LOCAL_DISK

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        failures = find_failures(DiskInputs, new)
        was, size = (old or {}).get("size_gib"), new.get("size_gib")
        if isinstance(was, int) and isinstance(size, int) and size < was:
            failures.append(Failure("size_gib", f"{size}: a disk can only grow, and has {was} GiB now"))
        return new, failures

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        changed = changed_inputs(old, new)
        return Changes(changed, [key for key in changed if key == "name"])

    @show_refusals
    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        wanted = DiskInputs.model_validate(inputs)
        found = api.find(api.volume_path(wanted.name))
        if found is None:
            request.progress(f"creating disk {wanted.name}, {wanted.size_gib} GiB")
            body = {"name": wanted.name, "content_type": "filesystem", "config": self._config(wanted)}
            api.call("POST", f"/storage-pools/{api.POOL}/volumes/custom", body, pause=request.sleep)
        elif not wanted.owns(found["config"]):
            raise ProviderError(
                f"a volume {wanted.name} that is not this stack's already exists on pool {api.POOL}; "
                f"if nobody needs its data: incus storage volume delete {api.POOL} {wanted.name}"
            )
        else:
            api.call("PATCH", api.volume_path(wanted.name), {"config": self._config(wanted)}, pause=request.sleep)
        return wanted.name, {"name": wanted.name}

    def preview_create(self, request: Request, inputs: Properties) -> Properties:
        return {"name": inputs["name"]}

    def _config(self, wanted: DiskInputs) -> dict[str, str]:
        return wanted.label_config() | {"size": f"{wanted.size_gib}GiB", "user.webitel.purpose": wanted.purpose}

    @show_refusals
    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        found = api.find(api.volume_path(id))
        return (inputs, outputs) if found and DiskInputs.model_validate(inputs).owns(found["config"]) else None

    @show_refusals
    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        config = self._config(DiskInputs.model_validate(new))
        api.call("PATCH", api.volume_path(id), {"config": config}, pause=request.sleep)
        return outputs

    @show_refusals
    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        request.progress(f"deleting disk {id}")
        api.remove(api.volume_path(id), pause=request.sleep)
