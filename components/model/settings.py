"""The settings of a deployment. Field names are the names under `webitel:` in a stack file.

`stacks/settings.py` is the only reader of Pulumi configuration; the class stands here because the planner needs it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from components.model.catalogue.service import PackageSource
from components.model.given_hosts import Host
from components.model.site import Site

CloudName = Literal["local", "aws", "gcp", "azure", "digitalocean", "hetzner", "libvirt", "onprem", "proxmox", "vsphere", "xen"]
"""Each has its folder in `components/clouds/`."""
LocalNetwork = Literal["bridged", "nat", "late_address", "late_network"]
TierName = Literal["single", "basic", "extended"]
Network = Annotated[IPv4Network, Field(description="an IPv4 network such as 203.0.113.0/24")]


class CarrierProfile(BaseModel):
    """What is particular to one carrier. Its registration is the administration's: a gateway of Webitel."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    transport: Literal["any", "udp", "tcp", "tls"] = Field(
        "any", description="By which its calls are taken; calls to it go out by it unless the gateway of Webitel names another."
    )
    codecs: tuple[Literal["PCMA", "PCMU", "G722", "G729", "opus"], ...] = Field(
        (), description="Codecs offered to it, and taken from it beside PCMA; empty = PCMA and PCMU offered, all taken."
    )
    options: bool = Field(
        False, description="It answers OPTIONS within a call, and its calls end half a minute after it has vanished."
    )


class ExistingSubnet(BaseModel):
    """A subnet that the company has."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    range: Network = Field(description="Its addresses; `doctor` and `up` compare them with the cloud's.")
    zone: str = Field("", description="On aws, the zone that it is in.")
    public: bool = Field(
        False, description="On aws and azure, whether it is for nodes reached from outside; the others go out by what it has."
    )
    first: IPv4Address | None = Field(
        None, description="The first address that nodes may have; empty = the tenth. They stand at fixed places after it."
    )


class ExistingNetwork(BaseModel):
    """A network that the company has, with the subnets for the nodes."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    id: str = Field(
        default="", description="The VPC's id on aws, projects/.../networks/NAME on gcp, the network's resource id on azure."
    )
    subnets: dict[str, ExistingSubnet] = Field(default={}, description="Subnets by id: see the rows below.")


class Backup(BaseModel):
    """Where backups go, when they are made, and for how long they are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    url: str = Field(
        default="",
        description="An S3-compatible bucket as https://host/bucket, one of Google's as gs://bucket, a container of Azure's as "
        "https://account.blob.core.windows.net/container, perhaps with a folder; empty = no backups.",
        examples=["https://s3.eu-central-1.amazonaws.com/your-bucket"],
    )
    bucket: str = Field(
        default="",
        description="Instead of `url`, on aws and gcp: the name of a bucket that the deployment makes and keeps, unlike any "
        "other bucket's in the world.",
        examples=["your-company-webitel"],
    )
    kept_buckets: tuple[str, ...] = Field(
        default=(),
        description="Buckets that the deployment made and does not use any more: they stay as they are.",
        examples=[["your-company-webitel"]],
    )
    region: str = Field(default="us-east-1", description="The bucket's region; most storage of others than AWS takes any.")
    authority: str = Field(
        default="",
        description="Certificate authority of the storage as PEM; empty = the public ones.",
        examples=["-----BEGIN CERTIFICATE..."],
    )
    at: str = Field(
        default="02:30",
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        description="When the daily one begins, in the nodes' time zone.",
    )
    full_days: int = Field(
        default=7, ge=1, le=90, description="Days after which one is a full one; the others hold what changed."
    )
    keep_days: int = Field(default=14, ge=1, le=3650, description="Days back to which the database can be restored.")
    verify_days: int = Field(
        default=7,
        ge=0,
        le=365,
        description="Days after which all backups of the database are read and compared with their checksums; 0 = never.",
    )
    recordings_days: int = Field(
        default=0, ge=0, le=3650, description="Days for which recordings stay in the bucket, by their age; 0 = for ever."
    )


class Settings(BaseModel):
    """What a deployment's owner decides. Everything else is derived by the planner."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    cloud: CloudName = Field(description="Where the machines stand; local = containers on this machine.", examples=["hetzner"])
    tier: TierName = Field(description="Preset of roles and counts: single, basic or extended.", examples=["basic"])
    region: str = Field("", description="The cloud's region or location; empty = the cloud's default.", examples=["eu-central-1"])
    zone: str = Field("", description="The same as webitel:zones with one zone in it.", examples=["a"])
    zones: tuple[str, ...] = Field(
        (),
        description="Zones inside the region, where the cloud has zones: a role's first new node stands in the first, its second "
        "in the second, and so on; empty = one, the first that the region has. On local, nodes that drills lose together.",
        examples=[["a", "b", "c"]],
    )
    node_zones: dict[str, str] = Field(
        {},
        description="Zone by node, where it is not its turn in webitel:zones (set by `webitel up` for nodes that are there).",
        examples=[{"data-1": "b"}],
    )
    consul_servers: tuple[str, ...] = Field(
        (),
        description="Nodes with Consul's servers, where a new deployment would have others (set by `webitel up`).",
        examples=[["db-1", "bus-1", "storage-1"]],
    )
    zone_subnets: bool = Field(
        True,
        description="Whether every zone has subnets of its own, on aws and azure (`webitel up` sets false where they were made "
        "before there was webitel:zones, and fill the network).",
    )
    domain: str = Field("example.com", description="Public host name of the contact centre.", examples=["voice.your-company.com"])
    dns_zone: str = Field(
        "",
        description=(
            "Zone in the cloud's own DNS where the domain's records are made; empty = they are printed to be copied. "
            "On aws, gcp and azure after the zone's id, name or resource group and a slash."
        ),
        examples=["your-company.com"],
    )
    reverse_dns: bool = Field(
        False,
        description="Whether public addresses have their name of the domain as reverse name (PTR), on hetzner, and on aws where "
        "`dns_zone` has the domain.",
    )
    operators: tuple[Network, ...] = Field((), description="Networks that may use SSH.", examples=[["203.0.113.0/24"]])
    carriers: tuple[Network, ...] = Field((), description="Networks of SIP trunks.", examples=[["198.51.100.0/24"]])
    carrier_profiles: dict[str, CarrierProfile] = Field(
        {},
        description="What is particular to a carrier: transport, codecs, options. By its network (of webitel:carriers) for "
        "calls from it and to an address in it; by host name for calls to a gateway given by that name, whose own calls still "
        "need an entry by network.",
        examples=[{"198.51.100.0/26": {"transport": "tcp", "codecs": ["PCMU"], "options": True}}],
    )
    phones: tuple[Network, ...] | Literal["internet"] = Field(
        (), description="Networks of SIP phones, or internet (scanners and toll fraud will come).", examples=[["192.0.2.0/24"]]
    )
    srtp: Literal["optional", "required"] = Field(
        "optional",
        description="Encrypted audio of SIP phones (WebRTC always has it): optional = for those that offer it or are "
        "registered over TLS, required = no call without it.",
        examples=["required"],
    )
    trunk_transfers: bool = Field(
        False, description="Let trunks transfer calls (REFER), so that a caller outside can have you call anybody."
    )
    emergency_numbers: tuple[str, ...] = Field(
        ("112", "911"),
        description="Numbers of emergency services, as they are dialled: no limit below counts for them.",
        examples=[["112", "911", "110"]],
    )
    account_limits: dict[Literal["calls", "per_minute"], int] = Field(
        {},
        description="Calls that a phone's account makes at once and within a minute; empty = 10 and 60.",
        examples=[{"calls": 4, "per_minute": 20}],
    )
    trunk_limits: dict[Literal["calls", "per_minute"], int] = Field(
        {},
        description="Calls by one trunk, at once and within a minute; empty = the tier's load in its busiest minute.",
        examples=[{"calls": 100, "per_minute": 200}],
    )
    destinations: tuple[str, ...] = Field(
        (), description="First digits of the numbers that may be called by trunks; empty = all.", examples=[["+49", "0"]]
    )
    outgoing_hours: dict[str, str] = Field(
        {},
        description="Hours in which calls go out by trunks, by days and in the nodes' time zone; empty = always.",
        examples=[{"mon-fri": "07:00-20:00", "sat": "09:00-14:00"}],
    )
    operator_keys: tuple[str, ...] = Field(
        (), description="SSH public keys of the operators.", examples=[["ssh-ed25519 AAAA... you@office"]]
    )
    operator_accounts: dict[str, tuple[str, ...]] = Field(
        {},
        description="Personal accounts on the nodes, each with its SSH public keys; sudo logs their names.",
        examples=[{"anna": ["ssh-ed25519 AAAA... anna@office"]}],
    )
    ssh_authorities: tuple[str, ...] = Field(
        (),
        description="Public keys of authorities whose SSH certificates let operators in, by the names in them.",
        examples=[["ssh-ed25519 AAAA... authority@office"]],
    )
    ssh_principals: tuple[str, ...] = Field(
        (),
        description="Names in certificates that may use the deployment's own account, beside that account's name.",
        examples=[["operators"]],
    )
    counts: dict[str, int] = Field({}, description="Nodes by role, where more than the tier's.", examples=[{"app": 2}])
    disk_key: str = Field(
        "",
        description="Encryption key of your own for disks made from now on; the cloud must let its disks use it. On aws a KMS "
        "key's ARN, on gcp a Cloud KMS key, on azure a disk encryption set; empty = the cloud's key.",
        examples=["arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
    )
    tags: dict[str, str] = Field(
        {},
        description="Your own tags (labels on gcp and hetzner) of all that can wear them, for cost centres and the like.",
        examples=[{"cost-center": "telephony"}],
    )
    machine_types: dict[str, str] = Field(
        {},
        description="The provider's machine type by role; where machines are made to measure vCPU and GiB of memory, such as "
        "8x16.",
        examples=[{"edge": "c7a.xlarge"}],
    )
    disk_sizes: dict[str, int] = Field(
        {}, description="GiB by role and purpose, where more than the tier's.", examples=[{"data.recordings": 1000}]
    )
    recordings_share: dict[Literal["source", "type", "options"], str] = Field(
        {},
        description="Network file system of yours for Storage's files, so that it moves when its node is lost: source and "
        "options as for mount(8), type nfs4 (unless set), glusterfs, or bind for a folder that you mount yourself.",
        examples=[{"source": "files.your-company.com:/webitel"}],
    )
    budget: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="A month's bill, in its currency: the cloud itself alarms at 80 and 100 % of it and at a forecast of 100 %; "
        "0 = no alarm. AWS counts the account, Google Cloud the project, Azure the deployment.",
        examples=[2000],
    )
    budget_mail: tuple[str, ...] = Field(
        (),
        description="Who is alarmed; on gcp beside the administrators of the billing account.",
        examples=[["ops@your-company.com"]],
    )
    network: Network | None = Field(
        None, description="The deployment's private network; empty = the cloud's default.", examples=["10.20.0.0/16"]
    )
    existing_network: ExistingNetwork = Field(
        ExistingNetwork(),
        description="A network of yours to stand in, on aws, gcp and azure: nothing is made in it but firewalls and machines; "
        "empty = one of the deployment's own.",
        examples=[
            {
                "id": "vpc-0123456789abcdef0",
                "subnets": {
                    "subnet-0aaaaaaaaaaaaaaaa": {"range": "10.40.0.0/24", "zone": "a", "public": True},
                    "subnet-0bbbbbbbbbbbbbbbb": {"range": "10.40.1.0/24", "zone": "a"},
                },
            }
        ],
    )
    site: Site = Field(
        Site(),
        description="The place on a hypervisor of yours where machines are made: see the rows below.",
        examples=[{"network": "vmbr1", "gateway": "10.20.0.1", "store": "local-lvm"}],
    )
    hosts: tuple[Host, ...] = Field(
        (),
        description="On onprem, the hosts: see the rows below. None is made and none deleted.",
        examples=[
            [
                {
                    "address": "203.0.113.10",
                    "role": "edge",
                    "private_address": "10.20.0.10",
                    "host_key": "ssh-ed25519 AAAA...",
                },
                {
                    "address": "10.20.0.11",
                    "role": "data",
                    "host_key": "ssh-ed25519 AAAA...",
                    "devices": {"database": "/dev/disk/by-id/...", "recordings": "/dev/disk/by-id/..."},
                },
            ]
        ],
    )
    host_user: str = Field(
        "debian",
        pattern=r"^[a-z_][a-z0-9_-]{0,31}$",
        description="On onprem, the hosts' account by which the deployment logs in: root, or one with sudo that asks for no "
        "password. At the first contact by your own SSH keys, then by the deployment's.",
        examples=["root"],
    )
    private_only: bool = Field(
        False,
        description="No node has a public address but those that are reached from outside: refused where the cloud has no way "
        "out without one.",
    )
    sip_address: IPv4Address | None = Field(
        None,
        description="The address by which phones, carriers and browsers reach the nodes with SIP, whichever has it: a free one "
        "of the same layer-2 network, on onprem, local (bridged, nat) and hypervisors; on aws, gcp and hetzner of the "
        "nodes' subnet, and a public one is made for it. Two such nodes on onprem need it; with one it makes a second one no "
        "change of address.",
        examples=["10.20.0.5"],
    )
    address_token: str = Field(
        "",
        description="On hetzner, the API token (read and write) by which two nodes for SIP move their address (secret). Hetzner "
        "knows no smaller right than all of a project: whoever takes one of these nodes over can delete all that is in it. So "
        "put nothing else into the project, and back up to where the token does not reach.",
        json_schema_extra={"secret": True},
    )
    mesh: bool = Field(
        False,
        description="Nodes speak to one another through WireGuard, with their private addresses as they are: all but SSH and "
        "audio. Nothing on a single node. To end it, `mesh_sends` goes first.",
    )
    mesh_sends: bool = Field(
        True,
        description="With false nodes take what comes by the mesh and send past it: the step before `mesh: false` on nodes that "
        "are up.",
    )
    mesh_audio: bool = Field(
        False, description="Audio goes through the mesh too: most of all packets, each of which then costs processor time."
    )
    local_network: LocalNetwork = Field(
        "bridged",
        description="On local, how nodes have addresses: bridged = one each; nat = public ones translated on this "
        "host, as on AWS, Google, Azure; late_address, late_network = as on DigitalOcean, Hetzner.",
        examples=["nat"],
    )
    public_network: Network | None = Field(
        None,
        description="On local, unless bridged: what stands for the internet on this host; empty = 198.18.0.0/24 and next.",
        examples=["198.18.7.0/24"],
    )
    release: Literal["25.08"] = Field("25.08", description="Version of the vendor's packages.")
    package_versions: dict[str, str] = Field(
        {},
        description="Version by package, where a certain one is wanted (`webitel upgrade` writes them); a package without "
        "one stays as it was installed.",
        examples=[{"webitel-engine": "25.08.3-1"}],
    )
    update_window: str = Field(
        "03:00-05:00",
        pattern=r"^(off|([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)$",
        description="When nodes install Debian's security updates of packages that no call waits for, in the nodes' time zone; "
        "off = never by themselves.",
        examples=["01:30-04:00"],
    )
    package_source: PackageSource | None = Field(
        None, description="vendor, mirror or sandbox; empty = sandbox on local, else vendor.", examples=["vendor"]
    )
    mirror: str = Field(
        "",
        description="Base URL of your mirror of the vendor's repositories, with package_source mirror.",
        examples=["https://packages.your-company.com"],
    )
    allow_plain_http: bool = Field(
        False,
        description="Let a package repository's user and password go over plain http, where whoever is on the way reads them: "
        "the vendor's own repository offers nothing else.",
    )
    repository_user: str = Field("", description="User of the Webitel repository (secret).", json_schema_extra={"secret": True})
    repository_password: str = Field(
        "", description="Password of the Webitel repository (secret).", json_schema_extra={"secret": True}
    )
    freeswitch_token: str = Field(
        "",
        description="SignalWire token of the FreeSWITCH repository (secret).",
        json_schema_extra={"secret": True},
        examples=["pat_..."],
    )
    repository_keys: dict[str, str] = Field(
        {},
        description="Fingerprint of a repository's key, 40 hexadecimal digits, where no public record has it.",
        examples=[{"webitel": "0123456789ABCDEF0123456789ABCDEF01234567"}],
    )
    image: str = Field(
        "", description="Machine image; empty = newest Debian 12. On local: base = without the packages in it.", examples=["base"]
    )
    time_zone: str = Field("UTC", description="Time zone of every node.", examples=["Europe/Berlin"])
    upload_limit_mib: int = Field(64, ge=1, le=4096, description="Largest upload nginx accepts, MiB.")
    web_sockets_per_address: int = Field(
        400,
        ge=10,
        le=8000,
        description="Web sockets of each kind (SIP, events, chats) that one address may have: at least the "
        "agents of an office that share one.",
    )
    web_names: tuple[str, ...] = Field(
        (),
        description="Further host names by which the web is reached; any but these, webitel:domain and a node's own addresses "
        "is refused.",
        examples=[["pbx.your-company.com"]],
    )
    certificate: Literal["self-signed", "provided", "letsencrypt"] = Field(
        "self-signed",
        description="Certificate of the web and of SIP over TLS: self-signed = by our own authority, provided = yours, "
        "letsencrypt = ordered and renewed by the nodes.",
        examples=["provided"],
    )
    certificate_email: str = Field(
        "", description="Whom the certificate's issuer writes to (letsencrypt).", examples=["admin@your-company.com"]
    )
    certificate_server: str = Field(
        "https://acme-v02.api.letsencrypt.org/directory",
        description="ACME directory that certificates are ordered from (letsencrypt): Let's Encrypt's, its staging one for "
        "trials, or another public issuer's.",
        examples=["https://acme-staging-v02.api.letsencrypt.org/directory"],
    )
    certificate_pem: str = Field(
        "",
        description="Your certificate with those of its issuers and its key, one after the other as PEM (secret).",
        json_schema_extra={"secret": True},
    )
    web_origins: tuple[str, ...] = Field(
        (),
        description="Other sites whose pages may open web sockets for SIP and events, such as a CRM with a phone in it. Web "
        "chat is open to all sites.",
        examples=[["https://crm.your-company.com"]],
    )
    grafana: Literal["operators", "internet"] = Field(
        "operators", description="Who reaches Grafana on the web: the networks of webitel:operators, or everybody."
    )
    grafana_reads: tuple[str, ...] = Field(
        ("call_center",),
        description="What Grafana's role reads of the database webitel: schemas, or tables as schema.table. Columns with "
        "credentials are left out of each.",
        examples=[["call_center", "storage.files"]],
    )
    monitoring: bool = Field(
        True,
        description="Prometheus beside Grafana, and what it asks on every node, with its alerts.",
    )
    metrics_days: int = Field(15, ge=1, le=730, description="Days for which Prometheus keeps its figures.")
    metrics_gib: int = Field(
        2, ge=1, le=1000, description="Room for them on the boot disk of each node with Prometheus, GiB; the oldest go first."
    )
    alert_mail: tuple[str, ...] = Field((), description="Who gets alerts by mail.", examples=[["night@your-company.com"]])
    alert_mail_server: str = Field(
        "", description="Mail server that takes them, as host:port.", examples=["mail.your-company.com:587"]
    )
    alert_mail_from: str = Field("", description="Their sender.", examples=["phones@your-company.com"])
    alert_mail_user: str = Field("", description="User at the mail server; empty = no log-in.", examples=["phones"])
    alert_mail_password: str = Field("", description="Its password (secret).", json_schema_extra={"secret": True})
    alert_mail_tls: bool = Field(True, description="Whether mail goes out encrypted only (STARTTLS; port 465 always is).")
    alert_webhook: str = Field(
        "",
        description="URL that gets alerts as JSON, in Alertmanager's format.",
        examples=["https://alerts.your-company.com/webitel"],
    )
    alert_webhook_token: str = Field(
        "", description="Bearer token that it is sent with (secret).", json_schema_extra={"secret": True}
    )
    alert_slack: str = Field(
        "",
        description="URL of an incoming webhook of Slack, Mattermost or the like, by https on port 443 (secret).",
        json_schema_extra={"secret": True},
    )
    alert_pagerduty: str = Field(
        "",
        description="Key of a service of PagerDuty (Events API v2) or the like, which gets critical alerts only (secret).",
        json_schema_extra={"secret": True},
    )
    alert_pagerduty_server: str = Field("https://events.pagerduty.com/v2/enqueue", description="Where that service takes events.")
    alert_heartbeat: str = Field(
        "",
        description="URL that is called every minute, by https on port 443: what expects it alarms when it stays away (secret).",
        json_schema_extra={"secret": True},
    )
    audit_days: int = Field(
        365, ge=1, le=3650, description="Days for which a node keeps its records of log-ins, sudo, commands and changes."
    )
    log_target: str = Field(
        "",
        description="Log server for these records, as host:port: syslog over TLS (RFC 5425).",
        examples=["logs.your-company.com:6514"],
    )
    log_authority: str = Field(
        "",
        description="Certificate authority of the log server as PEM; empty = the public ones.",
        examples=["-----BEGIN CERTIFICATE-----\nMIIB...\n-----END CERTIFICATE-----"],
    )
    journal_mib: int = Field(500, ge=100, le=100_000, description="Room for a node's journal, MiB; the oldest lines go first.")
    backup: Backup = Field(
        Backup(),
        description="Backups of the database and the recordings to a bucket, enciphered: see the rows below; empty = none.",
        examples=[{"url": "https://s3.eu-central-1.amazonaws.com/your-bucket", "region": "eu-central-1"}],
    )
    backup_key: str = Field(
        "",
        description="Access key of the backup's bucket (secret), but of gs://.",
        json_schema_extra={"secret": True},
        examples=["AKIA..."],
    )
    backup_secret: str = Field(
        "",
        description="Secret key of the backup's bucket; for gs:// the file of an account's key, for Azure a shared access "
        "signature of the container (secret).",
        json_schema_extra={"secret": True},
    )
    max_connections: int = Field(300, ge=100, le=5000, description="PostgreSQL's connection limit.")
    ssh_via: str = Field("", description="Your own way in: user@host of a bastion.", examples=["admin@bastion.your-company.com"])
    drain_timeout: int = Field(1800, ge=0, le=86400, description="Seconds to wait for calls to end when a FreeSWITCH is drained.")
    health_timeout: int = Field(600, ge=10, le=7200, description="Seconds that `up` waits for every service to be healthy.")
    disruptive: bool = Field(
        False, description="Allow changes that drop calls in progress (`up --disruptive` sets it for one run)."
    )
    release_data: bool = Field(
        False,
        description="Have the cloud let data disks and addresses be deleted (`destroy --with-data` and `scale` set it "
        "for one run); Pulumi protects them all the same.",
    )
    leaving: tuple[str, ...] = Field(
        (), description="Nodes that leave their clusters (set by `webitel scale`).", examples=[["data-3"]]
    )
    kept_disks: tuple[str, ...] = Field(
        (), description="Nodes that are gone and whose data disks are kept (set by `webitel scale`).", examples=[["data-3"]]
    )
    rotate: dict[str, int] = Field(
        {}, description="Generation by secret; raise one to rotate it.", examples=[{"database_password": 2}]
    )
