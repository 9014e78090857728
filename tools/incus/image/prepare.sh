#!/bin/sh
# Runs once as root inside the root file system of the base image, in a chroot or in a container.
set -eu

systemctl enable systemd-networkd.service systemd-resolved.service ssh.service
# Addresses are static and there at once. Waiting for "online" only delays cloud-init, and without a carrier by two minutes.
systemctl mask systemd-networkd-wait-online.service
# Nothing of the hardware these look for exists in a container.
systemctl mask systemd-pstore.service systemd-udev-settle.service e2scrub_reap.service e2scrub_all.timer fstrim.timer \
    getty@tty1.service console-getty.service getty-static.service dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
rm -f /etc/ssh/ssh_host_*
# Empty, never "uninitialized": that would be a first boot, which enables every unit again (facts/ha-measured.md 4).
rm -f /etc/machine-id /var/lib/dbus/machine-id
: >/etc/machine-id
