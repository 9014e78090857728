"""A small Debian 12 with cloud-init that boots from its own disk, in place of Debian's `genericcloud`: its kernel, its way of
networking (netplan on systemd-networkd), nothing that only people use."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tools.host.apt import DEBIAN_KEYRING
from tools.host.fetching import Progress, SetupError, fetch, run
from tools.host.locks import cache_folder, lock
from tools.incus.apt import format_debian_sources

PACKAGES = (
    *("linux-image-cloud-amd64", "systemd-sysv", "systemd-resolved", "libpam-systemd", "udev", "dbus", "kmod", "netbase"),
    *("cloud-init", "cloud-guest-utils", "netplan.io", "iproute2", "openssh-server", "sudo", "python3", "e2fsprogs", "fdisk"),
    *("ca-certificates", "curl", "gpgv", "lsb-release", "nftables", "procps", "tzdata"),
)
CLOUD = """\
locale: C.UTF-8
ssh_genkeytypes: [ed25519]
apt: {preserve_sources_list: true}
"""
"""cloud-init's settings: Debian's minimal system has no other locale; key types and sources would take an emulated minute."""
PREPARE = """\
set -eu
systemctl enable systemd-networkd systemd-resolved ssh
systemctl mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer man-db.timer fstrim.timer
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
echo 'LABEL=root / ext4 defaults 0 1' >/etc/fstab
rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id
: >/etc/machine-id
"""
BOOT = """\
DEFAULT linux
LABEL linux
  KERNEL /vmlinuz
  INITRD /initrd
  APPEND root=LABEL=root ro console=ttyS0
"""
MBR = Path("/usr/lib/SYSLINUX/mbr.bin")
MIB, SECTOR = 1 << 20, 512
BOOT_MIB, ROOT_MIB = 127, 1400
"""Partitions, the first of which starts after a MiB: one that SYSLINUX reads, and the system, which may grow."""


def make_image(progress: Progress) -> Path:
    """Return the disk as qcow2, made once a month and for each recipe. Raises SetupError."""
    month = datetime.now(UTC).strftime("%Y-%m")
    recipe = "\0".join((Path(__file__).read_text(), format_debian_sources(), month))
    image = cache_folder() / f"kvm-debian-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.qcow2"
    with lock(cache_folder() / "kvm-debian.lock", "making a Debian that boots", progress):
        if not image.exists():
            for old in cache_folder().glob("kvm-debian-*.qcow2"):
                old.unlink()
            with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
                _make(Path(folder), progress)
                (Path(folder) / "disk.qcow2").rename(image)
    return image


def _make(folder: Path, progress: Progress) -> None:
    progress("making a Debian that boots (mmdebstrap, once a month)")
    root, sources, cloud, prepare = (folder / name for name in ("root", "debian.sources", "cloud.cfg", "prepare"))
    sources.write_text(format_debian_sources())
    cloud.write_text(CLOUD)
    prepare.write_text(PREPARE)
    command = [
        *("mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(PACKAGES)}", "--skip=cleanup/reproducible"),
        *("--keyring", str(DEBIAN_KEYRING), f"--customize-hook=upload {cloud} /etc/cloud/cloud.cfg.d/90_test.cfg"),
        f'--customize-hook=chroot "$1" sh -s <{prepare}',
        *("bookworm", str(root), *([str(sources)] if sources.stat().st_size else [])),
    ]
    fetch("making a Debian that boots (mmdebstrap)", lambda: run(command), progress, before_retry=lambda: shutil.rmtree(root))
    progress("making its disk")
    disk, boot = folder / "disk.raw", folder / "boot.raw"
    _truncate(disk, 1 + BOOT_MIB + ROOT_MIB)
    _truncate(boot, BOOT_MIB)
    table = f"label: dos\nstart=1MiB, size={BOOT_MIB}MiB, type=c, bootable\nstart={1 + BOOT_MIB}MiB, type=83\n"
    _do("sfdisk", "--quiet", str(disk), given=table)
    for name in ("vmlinuz", "initrd.img"):
        # The link at the root names the kernel that is installed.
        shutil.copy(root / (root / name).readlink(), folder / name.removesuffix(".img"))
    (folder / "syslinux.cfg").write_text(BOOT)
    _do("mkfs.vfat", "-n", "BOOT", "-h", str(MIB // SECTOR), str(boot))  # how much of the disk is before it
    _do("mcopy", "-i", str(boot), *(str(folder / name) for name in ("vmlinuz", "initrd", "syslinux.cfg")), "::/")
    _do("syslinux", "--install", str(boot))
    place = f"offset={(1 + BOOT_MIB) * MIB}"
    _do("mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), "-E", place, str(disk), f"{ROOT_MIB}M")
    with disk.open("r+b") as whole:
        whole.write(MBR.read_bytes())
        whole.seek(MIB)
        with boot.open("rb") as part:
            shutil.copyfileobj(part, whole)
    _do("qemu-img", "convert", "-O", "qcow2", str(disk), str(folder / "disk.qcow2"))


def _truncate(file: Path, mib: int) -> None:
    with file.open("wb") as opened:
        opened.truncate(mib * MIB)


def _do(*command: str, given: str = "") -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{' '.join(command)}: {done.stderr.strip()}")
