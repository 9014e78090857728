"""A deployment with nearly every setting, secret ones too, by our command line from its first command to its last one.

Each setting has tests of its own. Here each command meets all of them, above all those that ask a cloud or the nodes beside the
engine's own run, and know of secrets only that they are set.
"""

from collections.abc import Mapping

import pytest

from provider.certificates import make_authority, sign_server
from tests.clouds.conformance.command import OWN, command_line
from tests.clouds.conformance.conftest import Start
from tests.clouds.conformance.program import Config
from tests.clouds.conformance.sample import SELLERS, deal, do_on

pytestmark = pytest.mark.clouds

PAIR = {"counts": {"data": 3, "app": 2, "edge": 2}}
OWNERS_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfW3n8jm1mNq7V3Z8pM9zI4dGZ0V2t1c2VyYWJjZGVm anna@office"
SETTINGS: Config = {
    **OWN,
    "counts": {"data": 3, "app": 2},
    "certificate": "provided",
    "backup": {"url": "https://objects.our-company.com/bucket/folder", "keep_days": 30},
    "alert_mail": ["night@our-company.com"],
    "alert_mail_server": "mail.our-company.com:587",
    "alert_mail_from": "phones@our-company.com",
    "alert_mail_user": "phones",
    "alert_webhook": "https://alerts.our-company.com/webitel",
    "log_target": "logs.our-company.com:6514",
    "operator_accounts": {"anna": [OWNERS_KEY]},
    "tags": {"team": "voice"},
    "account_limits": {"calls": 4, "per_minute": 20},
    "trunk_limits": {"calls": 40, "per_minute": 200},
    "destinations": ["+49", "0"],
    "outgoing_hours": {"mon-fri": "07:00-20:00"},
    "carrier_profiles": {"185.13.0.0/24": {"transport": "tls"}},
    "srtp": "required",
    "phones": "internet",
    "time_zone": "Europe/Berlin",
    "upload_limit_mib": 128,
    "web_origins": ["https://crm.our-company.com"],
    "max_connections": 500,
}
BY_CLOUD: Mapping[str, Config] = {
    "hetzner": PAIR,
    "aws": {**PAIR, "backup": {"bucket": "our-company-webitel"}},
    "gcp": PAIR,
}
SECRETS: Mapping[str, str] = {
    "alert_mail_password": "mail-password",
    "alert_webhook_token": "webhook-token",
    "alert_slack": "https://hooks.slack.com/services/T0/B0/words",
    "alert_pagerduty": "0123456789abcdef" * 2,
    "alert_heartbeat": "https://heartbeat.our-company.com/webitel",
}
BUCKET = {"backup_key": "bucket-key", "backup_secret": "bucket-secret"}
DEALT = deal("everything set", {"every command": 1}, SELLERS)


@pytest.mark.parametrize("cloud", SELLERS)
def test_every_command_works_with_everything_set(cloud: str, start: Start) -> None:
    do_on(DEALT["every command"], cloud, "takes two minutes")
    stack = f"{cloud}-basic"
    live = start(stack)
    settings = {**SETTINGS, **BY_CLOUD.get(cloud, {})}
    secrets = {**SECRETS, "certificate_pem": sign_server(make_authority()[0], str(OWN["domain"]))}
    if "bucket" not in settings["backup"]:
        secrets |= BUCKET
    if cloud == "hetzner":
        secrets["address_token"] = "thetoken" * 8
    live.deployment.configure(settings)
    words = [word for name, value in secrets.items() for word in ("--secret", f"webitel:{name}={value}")]
    live.deployment.run("config", "set-all", *words)
    with command_line(live) as webitel:
        for command in (
            ("plan", stack),
            ("preview", stack),
            ("up", stack, "--yes"),
            ("status", stack),
            ("drift", stack),
            ("up", stack, "--yes", "--repair"),
            ("scale", "app", "3", stack, "--yes"),
            ("scale", "app", "2", stack, "--yes"),
            ("replace", "app-1", "--stack", stack, "--yes"),
            ("destroy", stack, "--yes"),
            ("up", stack, "--yes"),
            ("destroy", stack, "--yes", "--with-data"),
        ):
            ran = webitel(*command)
            assert ran.exit_code == 0, f"{command}: {ran.exception}\n{ran.output}"
    # A bucket of the deployment's own outlives it, with what keeps others out of it.
    left = [one.type for one in live.world.all() if not ("bucket" in settings["backup"] and one.type.startswith("aws:s3/"))]
    assert left == []
