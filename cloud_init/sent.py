"""User data in the form that each cloud accepts best (`facts/clouds.md` 0.3 and 8)."""

from __future__ import annotations

import base64
import gzip
import textwrap

from components.model.clouds.facts import CloudFacts
from components.model.user_data import UserData

BOUNDARY = "==webitel=="

STARTUP_SCRIPT = """#!/bin/sh
# Google's Debian image has no cloud-init and runs this at every boot: install it once, feed it, let it run.
set -eu
[ -e /var/lib/webitel/seeded ] && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -q && apt-get install -qy cloud-init
mkdir -p /var/lib/cloud/seed/nocloud /var/lib/webitel
printf 'datasource_list: [NoCloud]\\n' > /etc/cloud/cloud.cfg.d/99-webitel.cfg
printf 'instance-id: %s\\n' "$(cat /etc/machine-id)" > /var/lib/cloud/seed/nocloud/meta-data
base64 -d <<'END' | gzip -d > /var/lib/cloud/seed/nocloud/user-data
@DATA@
END
touch /var/lib/webitel/seeded
cloud-init init --local && cloud-init init && cloud-init modules --mode=config && cloud-init modules --mode=final
"""


LINE = 76
"""Characters of base64 in a line of an e-mail's part (RFC 2045)."""

HOST_KEY_BYTES = 700
"""Of a host key in user data as sent, at most."""


def add_host_key(user_data: UserData, private: str, public: str, cloud: CloudFacts, login_key: str = "") -> str:
    """Return the user data as sent, with a host key in it: the machine has that one from its first boot on, and no other.
    `login_key` is our SSH key, where nothing else tells it to the machine."""
    lines = textwrap.indent(private, "    ")
    keys = f"ssh_keys:\n  ed25519_private: |\n{lines}  ed25519_public: {public}\n"
    keys += f"ssh_authorized_keys:\n  - {login_key.strip()}\n" if login_key else ""
    return encode(f"{user_data.decoded}{keys}", cloud)


def compress(text: str) -> str:
    """Compress to base64 of gzip: equal text gives equal bytes."""
    return base64.b64encode(gzip.compress(text.encode("ascii"), 9, mtime=0)).decode()


def encode_user_data(decoded: str, cloud: CloudFacts) -> str:
    """Encode the text for the cloud; an error says by how many bytes it is too long or which character is not ASCII."""
    sent = encode(decoded, cloud)
    # A host key is added once there is one; that it fits is known before anything is made.
    size = measure_sent(sent, cloud) + HOST_KEY_BYTES
    if size > cloud.user_data_limit:
        raise ValueError(f"user data is {size} bytes as sent, {size - cloud.user_data_limit} over the limit on {cloud.title}")
    return sent


def encode(decoded: str, cloud: CloudFacts) -> str:
    """Encode the text for the cloud, whatever its length."""
    if not decoded.isascii():
        # cloud-init 22.4.2 garbles other characters in gzip parts (`facts/clouds.md` 0.3).
        wrong = sorted({character for character in decoded if not character.isascii()})
        raise ValueError(f"user data must be ASCII, found {' '.join(wrong)}")
    compressed = compress(decoded)
    packed = "\n".join(compressed[at : at + LINE] for at in range(0, len(compressed), LINE))
    if not cloud.cloud_init_preinstalled:
        sent = STARTUP_SCRIPT.replace("@DATA@", packed)
    elif cloud.user_data_gzip:
        sent = compressed
    else:
        sent = (
            f'Content-Type: multipart/mixed; boundary="{BOUNDARY}"\nMIME-Version: 1.0\n\n--{BOUNDARY}\n'
            f"Content-Type: application/x-gzip\nContent-Transfer-Encoding: base64\n\n{packed}\n--{BOUNDARY}--\n"
        )
    return sent


def measure_sent(sent: str, cloud: CloudFacts) -> int:
    """Count the bytes as the cloud does: AWS and Azure count before base64."""
    return len(base64.b64decode(sent)) if cloud.user_data_gzip else len(sent)
