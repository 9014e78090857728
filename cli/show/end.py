"""The end of `up`: where the deployment answers, what it is made of, what comes next."""

from __future__ import annotations

import asyncio
import re

from cli.console import DEFAULT_STACK, out
from cli.nodes.access import Access, ask_nodes
from cloud_init.node_command import node_command
from components.model.catalogue.service import PackageSource
from components.model.catalogue.services import CATALOGUE
from components.model.plan import Plan


def read_licence(plan: Plan, access: Access) -> str:
    """Return what the API gateway calls this installation (`/api/srvinfo`); empty where it does not say."""
    node = plan.nodes_with("webitel-api")[0]
    port = CATALOGUE["webitel-api"].listener("http").port
    target = access.nodes[node.key]
    # Asked on the node: the domain may not lead there yet.
    answer = asyncio.run(ask_nodes(access, [target], node_command("fetch", str(port), "/srvinfo"), 10))[node.key]
    found = re.search(r'"(?:identifier|id|serial|server_id)"\s*:\s*"([^"]+)"', answer.output)
    return found[1] if found else ""


def show_records(access: Access, zone: str) -> None:
    """Print the domain's DNS records: made already, or to be copied."""
    if access.records:
        out.print(f"DNS records, created in {zone}:" if zone else "DNS records to set where your domain is kept:")
    for line in access.records:
        out.print(f"  {line}")


def show_end(plan: Plan, access: Access) -> None:
    """Print where it answers, what it is made of, what comes next."""
    addresses = [access.nodes[node.key].address for node in plan.nodes_with("opensips") if node.key in access.nodes]
    port = CATALOGUE["opensips"].listener("sip").port
    shared = plan.sip_outside or access.sip_outside
    sip = [f"{address}:{port}" for address in ([shared] if shared else addresses)]
    out.print("   ".join([access.url, *(["SIP " + ", ".join(sip)] if sip else [])]))
    if plan.package_source == PackageSource.SANDBOX:
        out.print(
            "Sandbox: OpenSIPS, FreeSWITCH, Grafana and the Webitel services are stand-ins (webitel:package_source is sandbox)."
        )
    if licence := read_licence(plan, access):
        out.print(f"Licence identifier {licence}: send it to Webitel, who answers with the licence of this installation.")
    # There is no account before the first: the vendor's sign-in page registers it, with the licence (its public sources,
    # web-client-auth, components/auth/register, and api/auth: POST /signup).
    if plan.package_source == PackageSource.SANDBOX:
        out.print("First log-in: none in the sandbox; with the vendor's packages the sign-in page makes the first account.")
    else:
        out.print(
            f"First log-in: {access.url} > Create account: your domain, a user name and a password of your choice, "
            "then the licence. No account exists before that one."
        )
    given = f" --stack {plan.stack}" if plan.stack != DEFAULT_STACK else ""
    out.print(f"Reports: {access.url}grafana/, user admin, password: ./webitel secrets grafana_password{given}")
    stack = f" {plan.stack}" if plan.stack != DEFAULT_STACK else ""
    node = f" {plan.nodes[-1].name}" if len(plan.nodes) > 1 or stack else ""
    out.print(f"Next: ./webitel status{stack}   ./webitel ssh{node}   ./webitel destroy{stack}")
