"""AWS: what is known before anybody is asked."""

from __future__ import annotations

from components.model.clouds.buckets import OwnBuckets
from components.model.clouds.consoles import Console
from components.model.clouds.disk_keys import DiskKeys
from components.model.clouds.existing import GivenNetworks
from components.model.clouds.facts import AddressMove, CloudFacts, PublicAddress, Refusal, Sources
from components.model.clouds.tags import TagRules
from components.model.machine import Public

# clouds.md 0 (address, firewall, NAT, user data), 1.1 (network sizes), 1.3 (login, disks, burstable), 1.4.
# us-east-1 is the one region with a dated price of disk, address and NAT (machines.md, uncertain 3).
FACTS = CloudFacts(
    name="aws",
    title="AWS",
    default_region="us-east-1",
    first_region="eu-central-1",  # c7a and m7a are not in every zone of us-east-1 (real-clouds.md B4)
    default_network="10.20.0.0/16",
    login_user="admin",
    private_node=Public.NO,
    public_address=PublicAddress.TRANSLATED,
    fixed_addresses=True,
    firewall_filters_private=True,
    real=True,
    region_shape=r"[a-z]{2}(-[a-z]+)+-\d",
    user_data_gzip=True,
    boot_min_gib=8,
    package="aws",
    # Of some old regions an account has not all of these; which ones, it is asked by `doctor`.
    zones=("a", "b", "c"),
    region_zones={
        "us-east-1": ("a", "b", "c", "d", "e", "f"),
        "us-west-2": ("a", "b", "c", "d"),
        "ap-northeast-1": ("a", "c", "d", "b"),
        "ap-northeast-2": ("a", "b", "c", "d"),
        "ca-central-1": ("a", "b", "d"),
    },
    zone_outputs={"aws:ec2/instance:Instance": "availabilityZone", "aws:ebs/volume:Volume": "availabilityZone"},
    subnet_output=("aws:ec2/subnet:Subnet", "cidrBlock"),
    disk_type="gp3",
    disk_limits={"gp3": (1, 65_536)},
    boot_max_gib=65_536,
    # clouds.md 1.2: 60 rules each way in a group, 5 groups at an interface; the role's own group keeps room for its other rules.
    rules_per_group=60,
    tracks_all_but="0-65535",  # real-clouds.md B20
    max_networks=240,
    max_operators=30,
    reserved_names="sg-.*",
    way_out_by_subnet=True,
    network_prefixes=(16, 27),
    shared_reason="burstable, its CPU is throttled under steady voice load",
    shared_state="aws s3 mb s3://YOUR-BUCKET && export PULUMI_BACKEND_URL='s3://YOUR-BUCKET?region=us-east-1'",
    machine_resource="aws:ec2/instance:Instance",
    type_output="instanceType",
    dns=True,
    reverse_dns=True,
    reverse_dns_first=True,  # real-clouds.md B27
    dns_key="hosted zone id, Z0123456789ABCDEFGHIJ",
    # EC2's table of error codes.
    budget_by="the whole account",
    refusals={
        Refusal.CAPACITY: "InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientCapacity",
        Refusal.QUOTA: "LimitExceeded|MaxSpotInstanceCountExceeded|InstanceLimitExceeded",
        Refusal.RATE: "RequestLimitExceeded|Throttling",
    },
    quota_page="https://console.aws.amazon.com/servicequotas (EC2, Running On-Demand Standard instances)",
    shared_types=("t1.*", "t2.*", "t3.*", "t3a.*", "t4g.*", "*-flex.*"),
    other_architectures=("a1.*", "*g.*", "*gd.*", "*gn.*", "*gb.*"),
    credentials=Sources(
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_PROFILE",), ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")),
        "aws configure",
        (".aws/credentials", ".aws/config"),
    ),
    # The key's ARN: an alias is resolved at the creation, and would differ ever after.
    disk_keys=DiskKeys(
        shape=r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:key/[A-Za-z0-9-]+",
        example="arn:aws:kms:{region}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ),
    # facts/clouds.md 1: letters, digits, spaces and + - = . _ : / @; `aws:` is theirs.
    tags=TagRules(
        name=r"[\w .:/=+@-]{1,128}",
        value=r"[\w .:/=+@-]{0,256}",
        words="letters, digits, spaces and + - = . _ : / @, names up to 128 and values up to 256",
        reserved=("aws:.*", "Name", "webitel:.*"),
    ),
    address_moves=AddressMove.AWS,  # facts/edge-aws.md
    buckets=OwnBuckets(
        host="s3.{region}.amazonaws.com",
        shape=r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",  # without dots, which no certificate of theirs covers
        words="3 to 63 small letters, digits and hyphens",
        reserved=r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|--x-s3|--table-s3)",
        guard="the nodes' key cannot delete old versions",
    ),
    closed_mail_ports=(25,),  # real-clouds.md B21
    console=Console(
        way="serial console: EC2, Instances, NODE, Connect",
        before="`aws ec2 enable-serial-console-access`, once for the account and region; a password",
        without="stop the instance, attach its boot volume to another instance, mend it there and put it back as `/dev/xvda`",
        page="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configure-access-to-serial-console.html",
    ),
    given_networks=GivenNetworks(
        shape=r"vpc-([0-9a-f]{8}|[0-9a-f]{17})",
        example="vpc-0123456789abcdef0",
        subnet_shape=r"subnet-([0-9a-f]{8}|[0-9a-f]{17})",
        subnet_example="subnet-0123456789abcdef0",
        resource="aws:ec2/vpc:Vpc",
        place=("aws:ec2/networkInterface:NetworkInterface", "subnetId", "privateIp"),
        by_zone=True,
    ),
)
