"""What a node needs to read another deployment's bucket: the same files as for its own, with that one's values."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from types import SimpleNamespace

from cloud_init.node.backups.elsewhere import AUTHORITY, CIPHER, CONFIG, FOLDER, RCLONE, Source
from cloud_init.templates import load_template
from components.model.backup import CIPHER as CIPHER_SECRET
from components.model.backup import CREDENTIALS, Bucket


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
    own, there = "/etc/webitel/backup-authority.pem", str(FOLDER / AUTHORITY)
    files = {
        CONFIG: load_template("backup/pgbackrest.conf").render(names).replace(own, there),
        RCLONE: load_template("backup/rclone.conf").render(names),
        CIPHER: f"{other.cipher}\n",
    }
    if other.authority:
        files[AUTHORITY] = other.authority
    source: Source = {"name": other.name, "stack": other.stack, "host": other.bucket.host, "port": other.bucket.port}
    return json.dumps({"source": source, "files": files})
