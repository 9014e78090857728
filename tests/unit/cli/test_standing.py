"""What an `up` writes into the stack file for everything to stay where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli.engine.engine import STACK_TYPE
from cli.engine.standing import find_unwritten
from components.model.settings import Settings
from stacks.load import make_deployment
from tests.unit.cli.fakes import make_engine

NODES = ("data-1", "app-1", "edge-1")


def test_hosts_that_machines_do_not_name_are_kept_by_what_the_last_up_said(tmp_path: Path) -> None:
    """A machine of KVM tells neither its host nor its size by an output."""
    settings = Settings.model_validate(
        {
            "cloud": "libvirt",
            "tier": "basic",
            "zones": ["kvm-2", "kvm-1"],
            "site": {"hosts": {"kvm-2": "qemu+ssh://root@kvm-2/system"}},
        }
    )
    deployment = make_deployment(settings, "s")
    said = {"zones": dict.fromkeys(NODES, "kvm-1"), "consul_servers": ["data-1"], "zone_subnets": True}
    resources: list[dict[str, Any]] = [
        {"urn": f"urn:pulumi:s::webitel::{STACK_TYPE}::webitel-s", "type": STACK_TYPE, "outputs": {"places": said}},
        *(
            {"urn": f"urn:pulumi:s::webitel::{type}::{key}", "type": type, "outputs": {}}
            for key in NODES
            for type in [deployment.plan.facts.machine_resource]
        ),
    ]
    state = json.dumps({"version": 3, "deployment": {"resources": resources}})
    engine = make_engine(tmp_path, f"print({state!r})")
    assert find_unwritten(engine, deployment) == {"node_zones": dict.fromkeys(sorted(NODES), "kvm-1")}
