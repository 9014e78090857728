"""AWS: `instanceState` of an instance; started by a resource of the provider, since the interface wants signed calls.

Source: pulumi_aws 7.51.1, `ec2transitgateway.InstanceState`; its deletion stops being managed and changes nothing.
Its creation waits itself for an instance that is stopping.
"""

from __future__ import annotations

from components.clouds.adoption import Setting
from components.clouds.power import Power, Switch


def start(id: str, state: str, setting: Setting) -> Switch:
    """Return the resource that has the instance run."""
    return Switch("aws:ec2transitgateway/instanceState:InstanceState", {"instanceId": id, "state": "running"})


POWER = Power(
    "aws:ec2/getInstance:getInstance",
    lambda id: {"instanceId": id},
    lambda answer: str(answer["instanceState"]),
    frozenset({"stopped", "stopping"}),
    start,
)
