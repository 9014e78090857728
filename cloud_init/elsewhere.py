"""What a node needs to read another deployment's bucket: the same files as for its own, with that one's values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace

from cloud_init.node.backups.elsewhere import AUTHORITY, CIPHER, CONFIG, FOLDER, LOGIN, RCLONE, Source
from cloud_init.templates import load_template
from components.model.backup import CIPHER as CIPHER_SECRET
from components.model.backup import CREDENTIALS, Bucket
from components.model.clouds.buckets import Language

OWN_FILES: Mapping[str, str] = {
    "/etc/webitel/backup-authority.pem": AUTHORITY,
    "/etc/webitel/backup-database.json": LOGIN,
    "/etc/webitel/backup-recordings.json": LOGIN,
}
"""Files that those of one's own bucket name, and which of the other one's take their place."""


@dataclass(frozen=True)
class OtherBucket:
    """Another deployment's bucket: the deployment, where it is and how it is opened."""

    url: str
    stack: str
    bucket: Bucket
    region: str
    authority: str
    key: str
    secret: str
    cipher: str

    @property
    def name(self) -> str:
        """Return what people call it, its URL first."""
        return f"{self.url} of {self.stack}"


def compose_other_bucket(other: OtherBucket) -> str:
    """Compose what `restore source` of the node program reads."""
    values = dict(zip(CREDENTIALS, (other.key, other.secret), strict=True)) | {CIPHER_SECRET: other.cipher}
    names = {
        "bucket": replace(other.bucket, region=other.region),
        "plan": SimpleNamespace(stack=other.stack),
        "settings": SimpleNamespace(backup=SimpleNamespace(authority=other.authority, keep_days=1)),  # nothing expires there
        "secret": values.__getitem__,
    }
    files = {
        CONFIG: load_template("backup/pgbackrest.conf").render(names),
        RCLONE: load_template("backup/rclone.conf").render(names),
    }
    for own, there in OWN_FILES.items():
        files = {name: text.replace(own, str(FOLDER / there)) for name, text in files.items()}
    files[CIPHER] = f"{other.cipher}\n"
    if other.bucket.language is Language.GOOGLE:
        files[LOGIN] = f"{other.secret}\n"
    if other.authority:
        files[AUTHORITY] = other.authority
    source: Source = {"name": other.name, "stack": other.stack, "host": other.bucket.host, "port": other.bucket.port}
    return json.dumps({"source": source, "files": files})
