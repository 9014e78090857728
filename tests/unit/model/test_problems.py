"""Every rule of the settings: what is refused, in which words, and what is not."""

from __future__ import annotations

import base64
import struct
import zoneinfo
from dataclasses import replace
from typing import Any

import pytest

from components.model.catalogue.service import tcp
from components.model.catalogue.services import CATALOGUE
from components.model.planning.planner import PlanError
from components.model.planning.readiness import describe_plain_http, documentation_values
from components.model.settings import Settings
from stacks.load import find_facts
from tests.plans import make_plan

BASE = {"cloud": "aws", "tier": "basic"}


def key(kind: str = "ssh-ed25519", inside: str = "", size: int = 32) -> str:
    blob = struct.pack(">I", len(inside or kind)) + (inside or kind).encode() + bytes(size)
    return f"{kind} {base64.b64encode(blob).decode()} you@office"


def problems(stack: str = "test", **values: Any) -> list[str]:
    try:
        make_plan(Settings.model_validate({**BASE, **values}), stack)
    except PlanError as error:
        return [str(problem) for problem in error.problems]
    return []


LOG_AUTHORITY = "-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----\n"
MAIL = {"alert_mail": ["a@acme.io"], "alert_mail_server": "10.0.0.8:25", "alert_mail_from": "b@acme.io"}
BACKUP: dict[str, Any] = {
    "backup": {"url": "https://objects.acme.io:9000/webitel/a"},
    "backup_key": "[secret]",
    "backup_secret": "[secret]",
}
REFUSED: list[tuple[dict[str, Any], str]] = [
    # the web
    (
        {**MAIL, "alert_mail": ["night"]},
        "webitel:alert_mail = night: not a mail address; use one such as phones@your-company.com",
    ),
    ({**MAIL, "alert_mail_server": ""}, "webitel:alert_mail_server: needed for webitel:alert_mail; set it to one such as mail."),
    ({**MAIL, "alert_mail_from": ""}, "webitel:alert_mail_from: needed for webitel:alert_mail; set it to one such as phones@"),
    ({"alert_mail_server": "mail.acme.io"}, "webitel:alert_mail_server = mail.acme.io: not a mail server; use host:port"),
    ({"alert_mail_user": "phones"}, "webitel:alert_mail_user = phones: it has no password; ./webitel pulumi config set --secret"),
    ({"alert_webhook": "alerts.acme.io"}, "webitel:alert_webhook = alerts.acme.io: not a URL; use one such as https://alerts."),
    ({"alert_pagerduty_server": "https://x:0/"}, "webitel:alert_pagerduty_server = https://x:0/: not a URL"),
    ({"monitoring": False, "alert_slack": "SET"}, "webitel:alert_slack = set: webitel:monitoring is false, so nothing alerts"),
    ({"metrics_gib": 60}, "webitel:metrics_gib = 60: more than half of the boot disk of data, 40 GiB; use 20 or less"),
    ({"log_target": "logs.example.com"}, "webitel:log_target = logs.example.com: not a log server; use host:port such as"),
    ({"log_target": "logs.example.com:70000"}, "webitel:log_target = logs.example.com:70000: not a log server"),
    ({"log_target": "tls://x:6514"}, "not a log server; use host:port such as logs.your-company.com:6514"),
    ({"log_authority": LOG_AUTHORITY}, "webitel:log_authority = [PEM]: no log server is named: set webitel:log_target"),
    ({"log_target": "x.example:6514", "log_authority": "ca.pem"}, "webitel:log_authority = ca.pem: not a certificate as PEM"),
    # backups
    (
        BACKUP | {"backup": {"url": "s3://bucket"}},
        "webitel:backup.url = s3://bucket: not a bucket, which is https://, host, bucket",
    ),
    (BACKUP | {"backup": {"url": "https://10.0.0.7/bucket"}}, "not understood by pgBackRest, so name the host; use one"),
    (
        BACKUP | {"backup": {"url": "https://acme.blob.core.windows.net/webitel"}},
        "webitel:backup_key = set: https://acme.blob.core.windows.net/webitel is opened by webitel:backup_secret alone",
    ),
    (BACKUP | {"backup_secret": ""}, "webitel:backup_secret: the bucket's log-in is needed; ./webitel pulumi config set"),
    (
        BACKUP | {"backup": {"url": "gs://acme"}},
        "webitel:backup_key = set: gs://acme is opened by webitel:backup_secret alone",
    ),
    ({"backup": {"url": "gs://acme"}}, "webitel:backup_secret: the bucket's log-in is needed; ./webitel pulumi config set"),
    (BACKUP | {"backup": {"url": "gs://A"}}, "webitel:backup.url = gs://A: not a bucket, which is"),
    (
        {"cloud": "gcp", "backup": {"bucket": "google-acme"}},
        "webitel:backup.bucket = google-acme: a name that the cloud keeps for itself",
    ),
    ({"backup": {"keep_days": 30}}, "webitel:backup.keep_days: there is nowhere to back up to: set webitel:backup.url; use one"),
    ({"backup_key": "[secret]"}, "webitel:backup_key: there is nowhere to back up to: set webitel:backup.url; use one such as"),
    (BACKUP | {"backup": {**BACKUP["backup"], "full_days": 30}}, "webitel:backup.full_days = 30: what is kept for 14 days has"),
    (BACKUP | {"backup": {**BACKUP["backup"], "authority": "ca.pem"}}, "webitel:backup.authority = ca.pem: not a certificate"),
    (BACKUP | {"rotate": {"backup_key": 2}}, "webitel:rotate.backup_key = 2: the bucket is your own: give its new log-in"),
    (BACKUP | {"rotate": {"backup_cipher": 2}}, "webitel:rotate.backup_cipher = 2: what is in the backup's bucket would be lost"),
    ({"backup": {"bucket": "Acme"}}, "webitel:backup.bucket = Acme: not a bucket's name, which is 3 to 63 small letters, digits"),
    (
        {"backup": {"bucket": "sthree-a"}},
        "webitel:backup.bucket = sthree-a: a name that the cloud keeps for itself",
    ),
    (
        {"backup": {"bucket": "acme", "kept_buckets": ["x"]}},
        "webitel:backup.kept_buckets = x: not a bucket's name",
    ),
    (
        {"cloud": "azure", "backup": {"bucket": "acme"}},
        "webitel:backup.bucket = acme: no bucket is made on Azure; set webitel",
    ),
    (
        {"cloud": "hetzner", "backup": {"bucket": "acme"}},
        "webitel:backup.bucket = acme: no bucket is made on Hetzner; set webitel:backup.url to an S3-compatible",
    ),
    (BACKUP | {"backup": {**BACKUP["backup"], "bucket": "acme"}}, "keep one of them"),
    (
        {"backup": {"bucket": "acme"}, "backup_key": "[secret]"},
        "webitel:backup_key = set: the deployment makes the log-in of webitel:backup.bucket itself; remove it",
    ),
    (
        {"backup": {"bucket": "acme", "region": "eu-west-1"}},
        "webitel:backup.region = eu-west-1: of a bucket that is there; webitel:backup.bucket is made in us-east-1; remove it",
    ),
    ({"backup": {"bucket": "acme", "full_days": 30}}, "webitel:backup.full_days = 30: what is kept for 14 days has"),
    ({"certificate": "provided"}, "webitel:certificate = provided: webitel:certificate_pem is not set; write it by: cat"),
    ({"grafana_reads": ["x; drop"]}, "webitel:grafana_reads = x; drop: not a schema or table; use one such as call_center or"),
    ({"certificate": "letsencrypt"}, "webitel:certificate_email: the issuer wants to know whom to write to; use an address"),
    (
        {"certificate": "letsencrypt", "certificate_email": "a@acme.io", "certificate_server": "https://ca.acme.io:9000/acme"},
        "webitel:certificate_server = https://ca.acme.io:9000/acme: not a directory that nodes reach, which begins with https://",
    ),
    (
        {"cloud": "local", "certificate": "letsencrypt", "certificate_email": "a@acme.io"},
        "webitel:certificate = letsencrypt: no issuer on the internet reaches machines of local; use self-signed or provided",
    ),
    ({"certificate_pem": "[secret]"}, "webitel:certificate = self-signed: webitel:certificate_pem is set; say provided, or"),
    ({"web_names": ["pbx.acme.io", "a b"]}, "webitel:web_names = a b: not a host name; use one such as pbx.your-company.com"),
    ({"web_origins": ["https://crm.acme.io/"]}, "webitel:web_origins = https://crm.acme.io/: not a site as a browser names it"),
    ({"web_origins": ["http://crm.acme.io"]}, "webitel:web_origins = http://crm.acme.io: not a site as a browser names it"),
    ({"web_origins": ["*"]}, "webitel:web_origins = *: not a site as a browser names it"),
    # budget
    (
        {"cloud": "hetzner", "budget": 500},
        "webitel:budget = 500: no alarm can be made on Hetzner; remove the setting, and set the alert in the console: "
        "https://console.hetzner.com (the project, Usage)",
    ),
    (
        {"cloud": "digitalocean", "budget": 500},
        "webitel:budget = 500: no alarm can be made on DigitalOcean; remove the setting, and set the alert in the console: "
        "https://cloud.digitalocean.com/account/billing (Billing alerts)",
    ),
    (
        {"cloud": "local", "budget": 5},
        "webitel:budget = 5: no alarm can be made on this machine; remove the setting; it costs nothing",
    ),
    ({"budget": 2000}, "webitel:budget_mail = empty: webitel:budget = 2000 would alarm nobody; use [ops@your-company.com]"),
    ({"budget_mail": ["ops"]}, "webitel:budget_mail = ops: not a mail address; use one such as ops@your-company.com"),
    (
        {"budget_mail": [f"{n}@your-company.com" for n in range(6)]},
        "webitel:budget_mail = 6: at most 5 addresses; use a list such as ops@your-company.com",
    ),
    # counts
    ({"counts": {"dat": 3}}, "webitel:counts.dat = 3: tier basic has no role dat; did you mean data?"),
    ({"counts": {"sip": 1}}, "webitel:counts.sip = 1: tier basic has no role sip; use data or app or edge"),
    ({"counts": {"data": 2}}, "webitel:counts.data = 2: a cluster of 2 cannot lose a node; use 1 or 3"),
    ({"counts": {"data": 4}}, "slower, not safer; use 1 or 3"),
    ({"counts": {"data": 5}}, "RabbitMQ cannot form a cluster of 5; use 1 or 3"),
    ({"tier": "extended", "counts": {"db": 2}}, "a cluster of 2 cannot lose a node; use 1 or 3 or 5"),
    ({"tier": "extended", "counts": {"db": 4}}, "a cluster needs an odd number of members to keep a majority; use 1 or 3 or 5"),
    ({"tier": "extended", "counts": {"db": 7}}, "slower, not safer; use 1 or 3 or 5"),
    ({"tier": "extended", "counts": {"bus": 5}}, "webitel:counts.bus = 5"),
    (
        {"cloud": "digitalocean", "counts": {"edge": 2}},
        "webitel:counts.edge = 2: a second node cannot take calls over on DigitalOcean: no address inside its network goes from "
        "one Droplet to another",
    ),
    (
        {"cloud": "azure", "counts": {"edge": 2}},
        "webitel:counts.edge = 2: a second node that takes calls over is not built for Azure yet, only for AWS, "
        "Google Cloud, Hetzner, given hosts, hypervisors and webitel:cloud = local with webitel:local_network = bridged or nat, "
        "with webitel:tier = basic or extended; use 1",
    ),
    (
        {"cloud": "local", "local_network": "late_network", "counts": {"edge": 2}},
        "is not built for this machine with its network yet",
    ),
    (
        {"cloud": "azure", "tier": "extended", "counts": {"sip": 2}},
        "webitel:counts.sip = 2: a second node that takes calls over is not built for Azure",
    ),
    ({"cloud": "local", "counts": {"edge": 3}}, "webitel:counts.edge = 3: OpenSIPS cannot run twice yet; use 1"),
    (
        {"cloud": "local", "counts": {"edge": 3}, "sip_address": "10.77.1.99"},
        "webitel:counts.edge = 3: OpenSIPS cannot run twice",
    ),
    ({"tier": "single", "counts": {"all": 3}}, "webitel:counts.all = 3: OpenSIPS cannot run twice yet; use 1"),
    ({"tier": "extended", "counts": {"storage": 2}}, "webitel:counts.storage = 2: Storage runs on the first node only"),
    ({"tier": "extended", "counts": {"storage": 0}}, "webitel:counts.storage = 0: fewer than the tier's; use 1 or more"),
    ({"tier": "extended", "counts": {"media": 1}}, "webitel:counts.media = 1: fewer than the tier's; use 2 or more"),
    ({"counts": {"app": 0}}, "webitel:counts.app = 0: fewer than the tier's; use 1 or more"),
    ({"counts": {"app": 70000}}, "at most 100 nodes, those of other roles too; use fewer than 100"),
    # networks of containers
    (
        {"local_network": "nat"},
        "webitel:local_network = nat: it is only for containers of webitel:cloud = local; AWS does it in its own",
    ),
    ({"public_network": "198.18.7.0/24"}, "webitel:public_network = 198.18.7.0/24: only webitel:cloud = local has one"),
    ({"cloud": "local", "public_network": "198.18.7.0/24"}, "not with webitel:local_network = bridged; remove the setting"),
    ({"cloud": "local", "local_network": "nat", "public_network": "10.7.0.0/24"}, "must not be a private one; use a network"),
    ({"cloud": "local", "local_network": "late_address", "public_network": "198.18.7.0/28"}, "has 16 addresses, too few"),
    # machine types
    (
        {"machine_types": {"edge": "t3.large"}},
        "webitel:machine_types.edge = t3.large: burstable, its CPU is throttled "
        "under steady voice load; use c7a.xlarge (4 vCPU, 8 GiB, USD 150/month)",
    ),
    ({"machine_types": {"edge": "m7i-flex.xlarge"}}, "burstable"),
    ({"machine_types": {"data": "c7g.4xlarge"}}, "not x86-64, which the vendor's packages need; use m7i.2xlarge (8 vCPU, 32 GiB"),
    ({"machine_types": {"edge": "c7a.xlagre"}}, "did you mean c7a.xlarge"),
    ({"machine_types": {"edge": "zzz"}}, "not a dedicated machine type known on AWS; use c7a.xlarge"),
    ({"machine_types": {"edgy": "c7a.xlarge"}}, "webitel:machine_types.edgy = c7a.xlarge: tier basic has no role edgy"),
    ({"cloud": "gcp", "machine_types": {"edge": "e2-standard-4"}}, "shared, its CPU is taken away"),
    ({"cloud": "gcp", "machine_types": {"edge": "n4-standard-4"}}, "an old or cost-optimised family"),
    ({"cloud": "azure", "machine_types": {"edge": "Standard_B4ms"}}, "burstable or shared"),
    ({"cloud": "azure", "machine_types": {"edge": "Standard_D4ps_v5"}}, "not x86-64"),
    ({"cloud": "digitalocean", "machine_types": {"edge": "s-4vcpu-8gb"}}, "shared"),
    (
        {"cloud": "hetzner", "machine_types": {"edge": "cx33"}},
        "shared, its CPU is taken away under steady voice load; use ccx23 (4 vCPU, 16 GiB, EUR 86/month)",
    ),
    ({"cloud": "hetzner", "machine_types": {"edge": "cpx41"}}, "shared"),
    ({"cloud": "local", "machine_types": {"edge": "c7a.xlarge"}}, "local has containers, not machine types"),
    # versions of packages
    (
        {"package_versions": {"engine": "25.08.3-1"}},
        "webitel:package_versions.engine = 25.08.3-1: no service has a package of that name; did you mean webitel-engine?",
    ),
    ({"package_versions": {"webitel-engin": "25.08.3-1"}}, "did you mean webitel-engine?"),
    ({"package_versions": {"zzz": "1"}}, "use one such as webitel-engine"),
    (
        {"package_versions": {"webitel-engine": "latest"}},
        "webitel:package_versions.webitel-engine = latest: not a version of a Debian package; use one such as 25.08.3-1",
    ),
    ({"package_versions": {"webitel-engine": "25.08 3"}}, "not a version"),
    # disks
    ({"disk_sizes": {"data.recordings": 499}}, "webitel:disk_sizes.data.recordings = 499: smaller than the tier's; use 500 GiB"),
    ({"disk_sizes": {"edge.database": 50}}, "webitel:disk_sizes.edge.database = 50: edge has no disk for that purpose; use"),
    ({"disk_sizes": {"dat.database": 500}}, "tier basic has no role dat; did you mean data?"),
    ({"disk_sizes": {"recordings": 500}}, "webitel:disk_sizes.recordings = 500: tier basic has no role recordings"),
    ({"cloud": "hetzner", "disk_sizes": {"edge.boot": 200}}, "the boot disk comes with the machine type, 160 GiB with ccx23"),
    # network
    ({"network": "8.8.0.0/16"}, "webitel:network = 8.8.0.0/16: not a private network; use a network of your own such as 10.20"),
    ({"network": "203.0.113.0/24"}, "not a private network"),
    ({"cloud": "digitalocean", "network": "10.244.0.0/16"}, "DigitalOcean reserves 10.244.0.0/16"),
    ({"cloud": "hetzner", "network": "172.31.0.0/16"}, "Hetzner reserves 172.31.1.1/32"),
    ({"network": "10.20.0.0/28"}, "has 16 addresses, too few for 3 nodes with fixed places; use /25 or larger"),
    ({"network": "10.20.0.0/24", "counts": {"app": 11}}, "too few for 13 nodes with fixed places; use /21 or larger"),
    ({"cloud": "digitalocean", "network": "10.20.0.0/25"}, "DigitalOcean accepts /16 to /24"),
    ({"network": "10.0.0.0/8"}, "AWS accepts /16 to /27"),
    ({"operators": ["10.20.5.0/24"]}, "webitel:network = 10.20.0.0/16: overlaps webitel:operators 10.20.5.0/24"),
    ({"phones": ["10.20.5.0/24"]}, "overlaps webitel:phones"),
    # who may connect
    ({"operators": ["0.0.0.0/0"]}, "webitel:operators = 0.0.0.0/0: SSH would be open to the world; use your office or VPN"),
    ({"operators": ["128.0.0.0/1"]}, "SSH would be open to the world"),
    ({"carriers": ["0.0.0.0/0"]}, "webitel:carriers = 0.0.0.0/0: SIP would be open to the world"),
    ({"phones": ["0.0.0.0/0"]}, "or internet if you mean it"),
    # single values
    ({"domain": "foo_bar"}, "webitel:domain = foo_bar: not a host name; use one such as voice.your-company.com"),
    ({"domain": "localhost"}, "not a host name"),
    ({"domain": "https://voice.acme.io"}, "not a host name"),
    ({"domain": "192.168.1.1"}, "not a host name"),
    ({"domain": "-a.acme.io"}, "not a host name"),
    ({"domain": f"{'a' * 64}.acme.io"}, "not a host name"),
    ({"region": "mars"}, "webitel:region = mars: AWS has no such region; use one such as us-east-1"),
    ({"cloud": "hetzner", "region": "eu-central-1"}, "Hetzner has no such region; use one such as fsn1"),
    ({"zone": "z"}, "webitel:zone = z: no zone of AWS us-east-1; use a, b, c, d, e or f"),
    ({"cloud": "hetzner", "zone": "a"}, "Hetzner has no zones inside a location"),
    ({"ssh_via": "bastion.acme.io"}, "webitel:ssh_via = bastion.acme.io: must be user@host"),
    ({"ssh_via": "me@host; rm -rf"}, "must be user@host"),
    ({"image": "a b"}, "webitel:image"),
    ({"image": "base"}, "webitel:image = base: not an image"),
    ({"cloud": "local", "image": "ami-1"}, "on local use base"),
    ({"time_zone": "Berlin"}, "webitel:time_zone = Berlin: no such time zone; use Europe/Berlin"),
    ({"time_zone": "../etc/passwd"}, "no such time zone"),
    ({"operator_keys": ["ssh-ed25519 AAAA x"]}, "webitel:operator_keys"),
    ({"time_zone": "Mars"}, "use one such as Europe/Berlin"),
    ({"time_zone": "Europe/Berlinn"}, "use Europe/Berlin"),
    ({"rotate": {"zzz": 2}}, "no secret of that name; there are database_password"),
    ({"operator_keys": [key(inside="ssh-rsa")[:60] + "?"]}, "webitel:operator_keys = ssh-ed25519 AAAAB3NzaC1yc2EAAAAAAAAAA...: "),
    ({"operator_keys": ["rsa AAAA"]}, "not a public key; those begin with ssh-ed25519"),
    ({"operator_keys": [key(inside="ssh-rsa")]}, "the key inside is not of type ssh-ed25519"),
    ({"operator_keys": [key(size=0)]}, "the key is cut"),
    ({"operator_accounts": {"Anna": [key()]}}, "webitel:operator_accounts.Anna = Anna: no name of an account; use small letters"),
    ({"operator_accounts": {"../x": [key()]}}, "no name of an account"),
    ({"operator_accounts": {"root": [key()]}}, "webitel:operator_accounts.root = root: a name of the system; use the person's"),
    ({"operator_accounts": {"webitel-x": [key()]}}, "a name of the system"),
    ({"operator_accounts": {"admin": [key()]}}, "the deployment's own account; its keys are webitel:operator_keys"),
    (
        {"operator_accounts": {"anna": []}},
        "webitel:operator_accounts.anna = empty: nobody could log in by it; name a key",
    ),
    ({"operator_accounts": {"anna": [key(size=0)]}}, "the key is cut off; use a line such as ssh-ed25519 AAAA... anna@office"),
    ({"ssh_authorities": ["rsa AAAA"]}, "webitel:ssh_authorities = rsa AAAA: not a public key"),
    (
        {"ssh_authorities": ["ssh-ed25519-cert-v01@openssh.com AAAA"]},
        "a certificate: webitel:ssh_authorities takes the public key of the authority that signed it",
    ),
    (
        {"ssh_authorities": [key()], "ssh_principals": ["two words"]},
        "ssh_principals = two words: no name of a certificate",
    ),
    ({"ssh_principals": ["operators"]}, "without webitel:ssh_authorities no certificate is accepted"),
    ({"package_source": "mirror"}, "webitel:mirror: with webitel:package_source = mirror it must be the base URL"),
    ({"package_source": "mirror", "mirror": "packages"}, "webitel:mirror = packages"),
    ({"leaving": ["data-2"]}, "webitel:leaving = data-2: no such node in this deployment; its nodes are data-1, app-1, edge-1"),
    ({"rotate": {"database_pasword": 2}}, "no secret of that name; did you mean database_password?"),
    (
        {"rotate": {"nodes_authority": 2}},
        "webitel:rotate.nodes_authority = 2: all its nodes need the same one at the same moment",
    ),
    ({"rotate": {"database_password": 0}}, "webitel:rotate.database_password = 0: counts from 1"),
    ({"stack": "Test"}, "stack name = Test: needs lower case letters"),
    ({"stack": "a" * 50}, "stack name"),
]

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"counts": {"data": 3, "app": 4, "edge": 1}},
    {"tier": "extended", "counts": {"db": 5, "bus": 3, "media": 3, "web": 2}},
    {"machine_types": {"edge": "c8a.2xlarge"}},
    {"disk_sizes": {"data.recordings": 500, "edge.boot": 60}},
    {"cloud": "hetzner", "disk_sizes": {"data.database": 300}},
    {"network": "172.20.0.0/25"},
    {"network": "10.20.0.0/21", "counts": {"app": 11}},
    {"cloud": "hetzner", "network": "10.20.0.0/22", "counts": {"app": 11}},
    {"cloud": "digitalocean", "network": "10.20.0.0/24", "counts": {"app": 20}},  # its addresses have no fixed places
    {"cloud": "local", "operators": ["10.77.1.1/32"]},
    {"operators": ["203.0.113.0/24", "10.0.0.0/16"], "carriers": ["198.51.100.0/24"], "phones": "internet"},
    {"domain": "voice.acme.io", "region": "eu-central-1", "zone": "c"},
    {"ssh_via": "admin@bastion.your-company.com:2222"},
    {"ssh_via": "admin@10.1.2.3"},
    {"cloud": "local", "image": "base"},
    {"web_names": ["pbx.acme.io"], "web_origins": ["https://crm.acme.io", "https://crm.acme.io:8443"], "grafana": "internet"},
    {"certificate": "provided", "certificate_pem": "[secret]"},
    {"certificate": "letsencrypt", "certificate_email": "admin@acme.io"},
    {"log_target": "logs.example.com:6514", "log_authority": LOG_AUTHORITY},
    {"log_target": "10.0.0.7:6514"},
    {**MAIL, "alert_mail_tls": False},
    {"alert_webhook": "http://10.0.0.9:8080/x", "alert_slack": "SET", "alert_pagerduty": "SET", "alert_heartbeat": "SET"},
    {"monitoring": False},
    BACKUP,
    BACKUP | {"backup": {"url": "https://s3.acme.io/bucket", "authority": LOG_AUTHORITY, "at": "23:15", "recordings_days": 365}},
    {"time_zone": "Europe/Kyiv"},
    {"operator_keys": [key(), key("ssh-rsa", size=260)]},
    {"operator_accounts": {"anna-b": [key()], "bo_2": [key(), key("ssh-rsa", size=260)]}},
    {"ssh_authorities": [key()], "ssh_principals": ["operators", "on-call@your-company.com"], "operator_accounts": {"anna": []}},
    {"package_source": "mirror", "mirror": "https://packages.your-company.com/webitel"},
    {"leaving": ["app-2", "test-app-3"], "counts": {"app": 3}},
    {"rotate": {"database_password": 2}},
    {"package_versions": {"webitel-engine": "25.08.3-1", "rabbitmq-server": "3.10.8-1.1+deb12u1", "freeswitch": "1:1.10.12~rc1"}},
]


@pytest.mark.parametrize(("values", "words"), REFUSED, ids=[words[:60] for _, words in REFUSED])
def test_refused(values: dict[str, Any], words: str) -> None:
    found = problems(**values)
    assert len(found) == 1, found
    assert words in found[0]


@pytest.mark.parametrize("values", ACCEPTED, ids=str)
def test_accepted(values: dict[str, Any]) -> None:
    assert problems(**values) == []


def test_a_machine_without_time_zones_leaves_the_check_to_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    monkeypatch.setattr("zoneinfo.ZoneInfo", fail_to_find)
    assert problems(time_zone="Europe/Kyiv") == []
    assert len(problems(time_zone="Europe Kyiv")) == 1


def fail_to_find(name: str) -> None:
    raise zoneinfo.ZoneInfoNotFoundError(name)


def test_all_problems_at_once() -> None:
    settings = Settings.model_validate(
        {**BASE, "machine_types": {"edge": "t3.large"}, "operators": ["0.0.0.0/0"], "counts": {"data": 2}}
    )
    with pytest.raises(PlanError) as raised:
        make_plan(settings, "aws-basic")
    assert str(raised.value).splitlines() == [
        "3 settings need attention, nothing was created:",
        "  webitel:machine_types.edge = t3.large: burstable, its CPU is throttled under steady voice load; "
        "use c7a.xlarge (4 vCPU, 8 GiB, USD 150/month)",
        "  webitel:counts.data = 2: a cluster of 2 cannot lose a node; use 1 or 3",
        "  webitel:operators = 0.0.0.0/0: SSH would be open to the world; use your office or VPN network, such as 203.0.113.0/24",
    ]


def test_a_broken_catalogue_is_an_error_of_the_plan() -> None:
    settings = Settings.model_validate(BASE)
    engine = CATALOGUE["engine"]
    lost = {**CATALOGUE, "engine": replace(engine, calls=(*engine.calls, "nobody"))}
    with pytest.raises(PlanError, match="engine calls nobody, and there is no service nobody"):
        make_plan(settings, "test", lost)
    clashing = {**CATALOGUE, "engine": replace(engine, listeners=(*engine.listeners, tcp("more", 22)))}
    with pytest.raises(PlanError, match=r"ssh\.ssh and engine\.more both listen on tcp port 22"):
        make_plan(settings, "test", clashing)


def test_a_window_that_is_too_short() -> None:
    assert problems(update_window="03:00-03:29") == [
        "webitel:update_window = 03:00-03:29: too short, downloads and installation take up to 30 minutes; "
        "use one such as 03:00-05:00"
    ]
    assert problems(update_window="23:50-00:20") == problems(update_window="off") == []


CREDENTIALS = {"repository_user": "hush1", "repository_password": "hush2", "freeswitch_token": "hush3"}
KEYS = dict.fromkeys(("webitel", "opensips", "freeswitch"), "0123456789ABCDEF0123456789ABCDEF01234567")
SET = {
    "allow_plain_http": True,
    "repository_keys": KEYS,
    "domain": "voice.acme.io",
    "operators": ["20.1.2.0/24"],
    "carriers": ["20.1.3.0/24"],
    **CREDENTIALS,
}


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        ({}, []),
        ({"domain": "example.com"}, ["webitel:domain"]),
        ({"domain": "voice.example.org"}, ["webitel:domain"]),
        ({"domain": "voice.test"}, ["webitel:domain"]),
        ({"domain": "example.com.ua"}, []),
        ({"operators": ["203.0.113.0/24"]}, ["webitel:operators"]),
        ({"operators": ["20.1.2.0/24", "203.0.113.7/32"]}, ["webitel:operators"]),
        ({"operators": []}, ["webitel:operators"]),
        ({"carriers": ["198.51.100.0/25"]}, ["webitel:carriers"]),
        ({"carriers": []}, []),
        ({"phones": ["192.0.2.0/24"]}, ["webitel:phones"]),
        ({"phones": "internet"}, []),
        ({"freeswitch_token": ""}, ["webitel:freeswitch_token"]),
        ({"repository_keys": {**KEYS, "opensips": ""}}, ["webitel:repository_keys.opensips"]),
        ({"repository_keys": {}, "package_source": "mirror", "mirror": "https://p.acme.io"}, ["webitel:repository_keys.mirror"]),
        ({"allow_plain_http": False}, ["webitel:allow_plain_http"]),
        ({"cloud": "local", "package_source": "vendor", "allow_plain_http": False}, ["webitel:allow_plain_http"]),
        ({"allow_plain_http": False, "package_source": "sandbox"}, []),
        ({"repository_user": "", "repository_password": ""}, ["webitel:repository_user", "webitel:repository_password"]),
        ({"package_source": "sandbox", **dict.fromkeys(CREDENTIALS, "")}, []),
        ({"cloud": "local", "domain": "example.com", "operators": [], **dict.fromkeys(CREDENTIALS, "")}, []),
        ({"cloud": "local", "package_source": "vendor", **CREDENTIALS, "repository_user": ""}, ["webitel:repository_user"]),
    ],
)
def test_documentation_values(values: dict[str, Any], settings: list[str]) -> None:
    given = Settings.model_validate({**BASE, **SET, **values})
    found = documentation_values(given, find_facts(given.cloud))
    assert [problem.setting for problem in found] == settings
    assert "hush" not in str(found)
    make_plan(Settings.model_validate({**BASE, **SET, **values}), "test")  # the plan itself works with them


@pytest.mark.parametrize(
    ("mirror", "refused"),
    [
        ("http://hush1:hush2@packages.acme.io/apt", "http://packages.acme.io/apt"),
        ("https://hush1:hush2@packages.acme.io/apt", ""),
        ("http://packages.acme.io/apt@2", ""),
    ],
)
def test_credentials_of_a_mirror_do_not_go_over_plain_http_unless_that_is_allowed(mirror: str, refused: str) -> None:
    given = {**BASE, **SET, "package_source": "mirror", "repository_keys": {"mirror": KEYS["webitel"]}, "mirror": mirror}
    cautious = Settings.model_validate({**given, "allow_plain_http": False})
    found = documentation_values(cautious, find_facts(cautious.cloud))
    assert [str(problem).split(": its")[0] for problem in found] == ([f"webitel:mirror = {refused}"] if refused else [])
    allowed = Settings.model_validate(given)
    assert documentation_values(allowed, find_facts(allowed.cloud)) == ()
    told = [text for text in make_plan(allowed, "test").warnings if "allow_plain_http" in text]
    assert len(told) == bool(refused)
    assert all(refused in text and "hush" not in text for text in (*told, *map(str, found)))


def test_what_goes_over_plain_http_is_named_as_long_as_it_is_allowed() -> None:
    settings = Settings.model_validate({**BASE, **SET})
    (told,) = describe_plain_http(settings, find_facts(settings.cloud))
    assert told.startswith("webitel:allow_plain_http = true: user and password of http://deb.webitel.com/debian go over")
    assert told in make_plan(settings, "test").warnings
    sandbox = Settings.model_validate({**BASE, **SET, "package_source": "sandbox"})
    assert describe_plain_http(sandbox, find_facts(sandbox.cloud)) == ()
