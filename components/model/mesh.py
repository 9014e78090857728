"""The mesh: what nodes say to one another goes through WireGuard, and every private address stays as it is (`webitel:mesh`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from components.model.catalogue.node import MESH, SSH
from components.model.catalogue.service import Listener, Placement, Service
from components.model.catalogue.tiers import TIERS
from components.model.planning.check_shape import count_nodes
from components.model.planning.draft import Draft
from components.model.problems import PlanError, Problem, setting_problem
from components.model.settings import Settings
from components.model.standby import has_address

KEY = "mesh_key"
"""What a node's own key is called in its texts: each node gets another one."""
PUBLIC = "mesh"
"""What the public half is called among the addresses of a node, for its peers."""
SENDS = "mesh_sends"
"""The field of a deployment's description that says that its nodes send through the mesh."""


def has_mesh(settings: Settings) -> bool:
    """Tell whether nodes speak through WireGuard: one alone has nobody to speak to."""
    return settings.mesh and is_several(settings)


def is_several(settings: Settings) -> bool:
    """Tell whether the deployment has more than one node."""
    return sum(count_nodes(TIERS[settings.tier], settings).values()) > 1


def sends(settings: Settings) -> bool:
    """Tell whether nodes send through the mesh, and do not only take what comes by it."""
    return has_mesh(settings) and settings.mesh_sends


def add_mesh(settings: Settings, catalogue: Mapping[str, Service]) -> Mapping[str, Service]:
    """Return the catalogue with WireGuard on every node where the settings want it."""
    if not has_mesh(settings):
        return catalogue
    return {**catalogue, MESH.name: replace(catalogue[MESH.name], placement=Placement.EVERY)}


def list_apart(settings: Settings, catalogue: Mapping[str, Service]) -> list[Listener]:
    """List the listeners whose packets go past the mesh: SSH, by which one is mended that does not work, and audio, which is most
    of all packets and has SRTP of its own, unless it is wanted too."""
    ssh = catalogue[SSH.name].listeners
    audio = [one for service in catalogue.values() for one in service.listeners if not one.tracked]
    return [*ssh, *([] if settings.mesh_audio else audio)]


def check_mesh(draft: Draft) -> Iterator[Problem]:
    """Find what the mesh does not carry yet."""
    if has_mesh(draft.settings) and has_address(draft.settings):
        yield setting_problem(
            "mesh",
            "true",
            "the address that nodes for SIP have in turn does not go through the mesh yet; leave out webitel:mesh, or have one "
            "node for SIP and no webitel:sip_address",
        )


def warn_of_plain_network(draft: Draft) -> Iterator[str]:
    """Say what could be read on a private network that nobody encrypts, where the mesh is no harm to what is set."""
    if draft.facts.plain_network and is_several(draft.settings) and not has_address(draft.settings) and not draft.settings.mesh:
        yield (
            f"{draft.facts.plain_network}, and gRPC, SIP and Patroni's interface go through it in the clear: webitel:mesh: true "
            "has nodes encrypt all but audio (docs/operate/security.md)"
        )


def refuse_sudden_end(settings: Settings, told: Mapping[str, object]) -> None:
    """Raise a PlanError where the mesh would be gone while nodes that are up still send through it. `told` is what the last `up`
    described."""
    if told.get(SENDS) and not has_mesh(settings) and is_several(settings):
        raise PlanError(
            [
                setting_problem(
                    "mesh",
                    str(settings.mesh).lower(),
                    "nodes send through it, and would lose one another while it ends on one after the other; set webitel:mesh: "
                    "true and webitel:mesh_sends: false, run ./webitel up, and then this",
                )
            ]
        )
