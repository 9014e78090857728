"""The resource type of a public address on this host: 1:1 translation in a table of its own, as clouds do it.

The private network is closed like theirs: nothing connects from outside except through the translation, and no machine
inside reaches a public address of its own network (`facts/calls-observed.md`, lab). A restart of this host removes the
table; `pulumi refresh` notices.
"""

import subprocess
from ipaddress import IPv4Address, IPv4Network

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.model import resource_types
from provider.handler import Changes, Failure, Handler, ProviderError, Request, changed_inputs
from provider.values import UNKNOWN, Properties

RULES = """
table ip {table}
delete table ip {table}
table ip {table} {{
  chain hairpin {{
    type filter hook prerouting priority -101
    iifname "{bridge}" ip daddr {public} counter drop
  }}
  chain inward {{
    type nat hook prerouting priority -100
    ip daddr {public} dnat to {private}
  }}
  chain from_host {{
    type nat hook output priority -100
    ip daddr {public} dnat to {private}
  }}
  chain outward {{
    type nat hook postrouting priority 99
    ip saddr {private} ip daddr {network} snat to {public}
  }}
  chain closed {{
    type filter hook forward priority 0
    oifname "{bridge}" iifname != "{bridge}" ct state new ct status & dnat == 0 counter drop
  }}
}}
"""
"""Before Incus' own masquerading (priority 100), which leads on to the real internet, where nobody knows `public`."""


class AddressInputs(BaseModel):
    """`bridge` is a LocalNetwork by name, on which the machine has `private`; `network`, with `public` in it, stands for the
    internet."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bridge: str = Field(pattern=r"^[a-zA-Z][a-zA-Z0-9-]*$", max_length=15)
    public: IPv4Address
    private: IPv4Address
    network: IPv4Network

    @property
    def table(self) -> str:
        """Return the name of the table."""
        return f"webitel_{self.bridge}_{self.public}".replace("-", "_").replace(".", "_")


def run_nft(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run nft on this host."""
    try:
        return subprocess.run(["nft", *arguments], input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ProviderError(f"nft: {error.strerror}; install it with: apt-get install nftables") from error


def has_table(name: str) -> bool:
    """Tell whether this host has that table."""
    return run_nft("list", "table", "ip", name).returncode == 0


class LocalAddress(Handler):
    """Inputs and outputs: AddressInputs."""

    type = resource_types.LOCAL_ADDRESS

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        try:
            AddressInputs.model_validate(new)
        except ValidationError as error:
            return new, [
                Failure(str(problem["loc"][0]), problem["msg"]) for problem in error.errors() if problem["input"] is not UNKNOWN
            ]
        return new, []

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        changed = changed_inputs(old, new)
        return Changes(changed, [key for key in changed if key not in ("private", "network")], delete_before_replace=True)

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        wanted = AddressInputs.model_validate(inputs)
        request.progress(f"translating {wanted.public} to {wanted.private}")
        done = run_nft(
            "-f",
            "-",
            text=RULES.format(
                table=wanted.table, bridge=wanted.bridge, public=wanted.public, private=wanted.private, network=wanted.network
            ),
        )
        if done.returncode:
            raise ProviderError(f"{wanted.public} could not be translated to {wanted.private}: {done.stderr.strip()}")
        return wanted.table, dict(inputs)

    def preview_create(self, request: Request, inputs: Properties) -> Properties:
        return dict(inputs)

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        return (inputs, outputs) if has_table(id) else None

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        return self.create(request, new)[1]

    def preview_update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        return dict(new)

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        done = run_nft("delete", "table", "ip", id)
        if done.returncode and has_table(id):
            raise ProviderError(f"table {id} was not deleted: {done.stderr.strip()}")
