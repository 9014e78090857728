"""Google Cloud: every id is made of the project, the place and the name."""

from __future__ import annotations

from collections.abc import Mapping

from components.clouds.adoption import REPEATED, Way, made_of

WAYS: Mapping[str, Way] = {
    # No function tells of budgets, and two may have one name: at worst the alarm comes twice.
    "gcp:billing/budget:Budget": Way(lambda inputs, answer: []),
    "gcp:compute/address:Address": made_of("projects/{project}/regions/{region}/addresses/{name}"),
    "gcp:compute/disk:Disk": made_of("projects/{project}/zones/{zone}/disks/{name}"),
    "gcp:compute/firewall:Firewall": made_of("projects/{project}/global/firewalls/{name}"),
    "gcp:compute/forwardingRule:ForwardingRule": made_of("projects/{project}/regions/{region}/forwardingRules/{name}"),
    "gcp:compute/instance:Instance": made_of("projects/{project}/zones/{zone}/instances/{name}"),
    "gcp:compute/network:Network": made_of("projects/{project}/global/networks/{name}"),
    "gcp:compute/resourcePolicy:ResourcePolicy": made_of("projects/{project}/regions/{region}/resourcePolicies/{name}"),
    "gcp:compute/router:Router": made_of("projects/{project}/regions/{region}/routers/{name}"),
    "gcp:compute/routerNat:RouterNat": made_of("{project}/{region}/{router}/{name}"),
    "gcp:compute/subnetwork:Subnetwork": made_of("projects/{project}/regions/{region}/subnetworks/{name}"),
    "gcp:compute/targetInstance:TargetInstance": made_of("projects/{project}/zones/{zone}/targetInstances/{name}"),
    "gcp:projects/iAMCustomRole:IAMCustomRole": made_of("projects/{project}/roles/{roleId}"),
    # Asked for twice it is there once.
    "gcp:projects/iAMMember:IAMMember": Way(lambda inputs, answer: []),
    "gcp:serviceaccount/account:Account": made_of(
        "projects/{project}/serviceAccounts/{accountId}@{project}.iam.gserviceaccount.com"
    ),
    # Who makes a key learns it, and nobody later: another one is made, and the account's end takes both.
    "gcp:serviceaccount/key:Key": REPEATED,
    "gcp:storage/bucket:Bucket": made_of("{name}"),
    "gcp:storage/bucketIAMMember:BucketIAMMember": REPEATED,
    "gcp:monitoring/notificationChannel:NotificationChannel": Way(
        lambda inputs, answer: [answer["name"]],
        "gcp:monitoring/getNotificationChannel:getNotificationChannel",
        lambda inputs: {"type": inputs["type"], "displayName": inputs["displayName"]},
        "No NotificationChannel found",
    ),
    "gcp:dns/recordSet:RecordSet": made_of("projects/{project}/managedZones/{managedZone}/rrsets/{name}/{type}"),
}
"""By type, for all that the adapter makes."""
