"""AWS: by the tags that the program gives everything, or by an id that is made of names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.clouds.adoption import REPEATED, Way, made_of

NONE = "no matching|no results"
"""How functions of the provider say that nothing fits, those that do not answer with an empty list."""

ALIVE = ["pending", "running", "stopping", "stopped"]
"""States of an instance that is not being deleted; left out, AWS tells of running ones only."""


def by_tags(name: str, ids: str = "ids", tags: str = "tags", **more: Any) -> Way:
    """Everything that wears the tags that the program gave it."""
    return Way(
        lambda inputs, answer: list(answer[ids]),
        f"aws:{name}:{name.rpartition('/')[2]}",
        lambda inputs: {tags: dict(inputs["tags"]), **more},
        NONE,
    )


WAYS: Mapping[str, Way] = {
    "aws:budgets/budget:Budget": Way(
        lambda inputs, answer: [f"{answer['accountId']}:{inputs['name']}"], "aws:index/getCallerIdentity:getCallerIdentity"
    ),
    "aws:ebs/volume:Volume": by_tags("ebs/getEbsVolumes"),
    "aws:ec2/eip:Eip": by_tags("ec2/getEips", "allocationIds"),
    "aws:ec2/eipAssociation:EipAssociation": Way(
        lambda inputs, answer: [answer["associationId"]] if answer.get("associationId") else [],
        "aws:ec2/getElasticIp:getElasticIp",
        lambda inputs: {"id": inputs["allocationId"]},
    ),
    "aws:ec2/eipDomainName:EipDomainName": made_of("{allocationId}"),
    "aws:ec2/instance:Instance": by_tags("ec2/getInstances", tags="instanceTags", instanceStateNames=ALIVE),
    "aws:ec2/internetGateway:InternetGateway": Way(
        lambda inputs, answer: [answer["id"]],
        "aws:ec2/getInternetGateway:getInternetGateway",
        lambda inputs: {"tags": dict(inputs["tags"])},
        NONE,
    ),
    "aws:ec2/keyPair:KeyPair": made_of("{keyName}"),
    "aws:ec2/natGateway:NatGateway": by_tags(
        "ec2/getNatGateways", filters=[{"name": "state", "values": ["pending", "available"]}]
    ),
    "aws:ec2/networkInterface:NetworkInterface": by_tags("ec2/getNetworkInterfaces"),
    "aws:ec2/placementGroup:PlacementGroup": made_of("{name}"),
    "aws:ec2/route:Route": made_of("{routeTableId}_{destinationCidrBlock}", imported=True),
    "aws:ec2/routeTable:RouteTable": by_tags("ec2/getRouteTables"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": made_of("{subnetId}/{routeTableId}", imported=True),
    "aws:ec2/securityGroup:SecurityGroup": by_tags("ec2/getSecurityGroups"),
    "aws:ec2/subnet:Subnet": by_tags("ec2/getSubnets"),
    "aws:ec2/volumeAttachment:VolumeAttachment": made_of("{deviceName}:{volumeId}:{instanceId}", imported=True),
    "aws:ec2/vpc:Vpc": by_tags("ec2/getVpcs"),
    "aws:iam/instanceProfile:InstanceProfile": made_of("{name}"),
    "aws:iam/role:Role": made_of("{name}"),
    "aws:iam/rolePolicy:RolePolicy": made_of("{role}:{name}"),
    # Who makes an access key learns its secret, and nobody later: another one is made, and the user's end takes both.
    "aws:iam/accessKey:AccessKey": REPEATED,
    "aws:iam/user:User": made_of("{name}"),
    "aws:iam/userPolicy:UserPolicy": made_of("{user}:{name}"),
    "aws:route53/record:Record": made_of("{zoneId}_{name}_{type}"),
    **{
        f"aws:s3/{name[0].lower()}{name[1:]}:{name}": made_of("{bucket}")
        for name in (
            "Bucket",
            "BucketLifecycleConfiguration",
            "BucketPolicy",
            "BucketPublicAccessBlock",
            "BucketServerSideEncryptionConfiguration",
            "BucketVersioning",
        )
    },
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": by_tags("vpc/getSecurityGroupRules"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": by_tags("vpc/getSecurityGroupRules"),
}
"""By type, for all that the adapter makes."""
