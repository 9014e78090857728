"""Security updates under the real apt and the real unattended-upgrades of a node, from a repository like Debian's."""

from __future__ import annotations

import json
import re

import pytest

from tests.local.deployment import Deployment
from tests.long_form import only_long

pytestmark = [pytest.mark.local, only_long("its dry run takes minutes")]

FOLDER = "/run/webitel-test-security"
SOURCE = "/etc/apt/sources.list.d/webitel-test-security.list"
OFFERED = ("nginx", "nginx-common", "curl", "haproxy", "erlang-base", "openssh-server")
MAKE = r"""
set -e
mkdir -p {folder}/dists/bookworm-security/main/binary-amd64 {folder}/pool; cd {folder}
for name in {names}; do
  mkdir -p new/DEBIAN
  version=$(dpkg-query -W -f '${{Version}}' $name)
  printf 'Package: %s\nVersion: %s+test1\nArchitecture: all\n' $name $version >new/DEBIAN/control
  printf 'Maintainer: t <t@localhost>\nDescription: t\n' >>new/DEBIAN/control
  dpkg-deb -b new pool/$name.deb >/dev/null; rm -r new
  {{ dpkg-deb -f pool/$name.deb; printf 'Filename: pool/%s.deb\nSize: %s\nSHA256: %s\n\n' $name $(stat -c %s pool/$name.deb) \
    $(sha256sum pool/$name.deb | cut -d' ' -f1); }} >>dists/bookworm-security/main/binary-amd64/Packages
done
cd dists/bookworm-security
{{ printf 'Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\nCodename: bookworm-security\n'
   printf 'Date: %s\nArchitectures: all amd64\nComponents: main\nSHA256:\n' "$(date -Ru)"
   printf ' %s %s %s\n' $(sha256sum main/binary-amd64/Packages | cut -d' ' -f1) $(stat -c %s main/binary-amd64/Packages) \
     main/binary-amd64/Packages; }} >Release
echo 'deb [trusted=yes] file:{folder} bookworm-security main' >{source}
apt-get -qq update -o Dir::Etc::SourceList={source} -o Dir::Etc::SourceParts=- -o APT::Get::List-Cleanup=0
"""


def test_security_updates_leave_alone_what_runs_calls(healthy: Deployment) -> None:
    healthy.on_node(MAKE.format(folder=FOLDER, source=SOURCE, names=" ".join(OFFERED)), seconds=60)
    try:
        said = healthy.on_node("unattended-upgrade --dry-run --debug 2>&1", seconds=300)
        report = json.loads(healthy.on_node("webitel-node status --json", seconds=30))
        timers = healthy.on_node("systemctl list-timers --all --no-pager apt-daily.timer apt-daily-upgrade.timer")
    finally:
        healthy.on_node(f"rm -rf {FOLDER} {SOURCE} /var/lib/apt/lists/*webitel-test*", seconds=30)
    (row,) = (row for row in report["machine"] if row["name"] == "security updates")
    assert {"nginx", "nginx-common", "haproxy", "erlang-base"} <= row["packages"].keys(), row
    assert not {"curl", "openssh-server"} & row["packages"].keys()
    (chosen,) = re.findall(r"^Packages that will be upgraded: ?(.*)$", said, re.MULTILINE)
    assert {"curl", "openssh-server"} <= set(chosen.split()), said[-3000:]
    assert not {"nginx", "nginx-common", "haproxy", "erlang-base"} & set(chosen.split())
    assert re.search(r" 0[34]:\d\d:\d\d .*apt-daily-upgrade\.timer", timers), timers
    assert healthy.on_node("systemctl is-enabled unattended-upgrades.service || true").strip() == "disabled"
