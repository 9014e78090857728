"""Another deployment's bucket, as it is asked for: how it is opened, and what is refused before any node is asked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.console import Failure, is_terminal
from cli.recovery_file import Recovery
from cli.recovery_file import read as read_recovery
from components.model.backup import CIPHER, CREDENTIALS, EXAMPLE, LAST_PORT, Bucket, is_address, read_bucket, read_url
from components.model.clouds.buckets import Language
from components.model.secret_specs import SECRETS

if TYPE_CHECKING:
    from cloud_init.elsewhere import OtherBucket
    from stacks.load import Deployment

LOG_IN = dict(zip(CREDENTIALS, ("WEBITEL_SOURCE_KEY", "WEBITEL_SOURCE_SECRET"), strict=True))
"""The variables with the log-in of the other bucket, by the settings of one's own."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for: from where, to which time (None: the end of what there is), the recovery file, and what the bucket needs
    beyond that."""

    url: str
    moment: datetime | None
    recovery: Path | None
    region: str
    authority: Path | None
    yes: bool
    discard: bool


def is_of_data(name: str) -> bool:
    """Tell whether a secret goes with the data."""
    return name in SECRETS and SECRETS[name].of_data


def read_other_url(url: str) -> Bucket:
    """Return the bucket that is named. A Failure where it is none."""
    bucket = read_url(url)
    if bucket is None or bucket.port > LAST_PORT or is_address(bucket.host):
        raise Failure(f"--from {url}: not a bucket, which is https://, a host's name, bucket and perhaps a folder; {EXAMPLE}")
    return bucket


def read_other_secrets(wanted: Wanted) -> Recovery:
    """Return what the recovery file holds. A Failure where there is none, or it does not hold what opens the backups."""
    if wanted.recovery is None:
        raise Failure(
            "--recovery FILE is needed: the other deployment's key stands in the file that ./webitel export-secrets FILE wrote. "
            "Without that and without its state the key is lost, and nobody reads the backups. Where its state is left: "
            "./webitel export-secrets FILE OTHER"
        )
    recovery = read_recovery(wanted.recovery)
    if not recovery.secrets.get(CIPHER):
        raise Failure(
            f"--recovery {wanted.recovery}: the key is lost: the file of {recovery.stack} has no {CIPHER}. It was written before "
            f"that deployment had backups. Where its state is left: ./webitel export-secrets FILE {recovery.stack}"
        )
    return recovery


def refuse_own(deployment: Deployment, bucket: Bucket, there: str, url: str) -> None:
    """Refuse a deployment without a bucket, whose log would go nowhere, and one whose own place in it is the other's."""
    stack, own = deployment.plan.stack, read_bucket(deployment.settings, deployment.plan.facts)
    if own is None:
        raise Failure(
            f"{stack} has no bucket of its own, and what restores is not installed there: set webitel:backup.url, "
            f"webitel:backup_key and webitel:backup_secret; {EXAMPLE}. Then: ./webitel up {stack}"
        )
    if own == bucket and stack == there:
        raise Failure(
            f"--from {url} is where {stack} itself backs up to (webitel:backup has {own.url}): its own "
            "log would meet the other's. This deployment is brought back to a second by --at TIME alone. For the other's data "
            f"use another folder, such as webitel:backup.url = {url.rstrip('/')}/second, and run ./webitel up {stack}"
        )


def open_other(wanted: Wanted, bucket: Bucket, recovery: Recovery, deployment: Deployment) -> OtherBucket:
    """Put together how the other bucket is opened. A Failure where its log-in is not there."""
    from cloud_init.elsewhere import OtherBucket

    key, secret = (read_login(LOG_IN[name], bucket) if name in bucket.login else "" for name in CREDENTIALS)
    authority = recovery.backup.get("authority", "")
    if wanted.authority:
        try:
            authority = wanted.authority.read_text()
        except (OSError, ValueError) as error:
            raise Failure(f"--authority {wanted.authority}: not a file with a certificate as PEM: {error}") from error
    region = wanted.region or recovery.backup.get("region", "") or deployment.settings.backup.region
    return OtherBucket(wanted.url.rstrip("/"), recovery.stack, bucket, region, authority, key, secret, recovery.secrets[CIPHER])


def read_login(name: str, bucket: Bucket) -> str:
    """Return one part of the other bucket's log-in: by its variable, or asked for."""
    if given := os.environ.get(name, ""):
        return given
    needed = " and ".join(LOG_IN[one] for one in bucket.login)
    if bucket.language is Language.GOOGLE:  # of many lines, which nobody types
        raise Failure(f'the key of an account that may read {bucket.url} is needed: export {needed}="$(cat KEY.json)"')
    if not is_terminal():
        raise Failure(f"the log-in of the other bucket is needed, which only has to read: set {needed}")
    return str(typer.prompt(f"{name} (log-in of the other bucket, which only has to read)", hide_input=True))
