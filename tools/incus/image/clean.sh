#!/bin/sh
# Runs as root in a machine that is about to become an image: what belongs to one machine goes, what costs time stays
# (packages, package lists). Why each: facts/ha-measured.md 4.
set -u

for unit in rabbitmq-server patroni postgresql consul; do
    systemctl stop "$unit" 2>/dev/null
done
cloud-init clean --logs --seed
rm -rf /var/lib/cloud/data /etc/systemd/network/10-cloud-init-* /etc/netplan/50-cloud-init.yaml /etc/sudoers.d/90-cloud-init-users
rm -f /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
# A RabbitMQ that was started once never clusters, and a cookie in an image is every machine's cookie.
rm -rf /var/lib/rabbitmq/mnesia /var/lib/rabbitmq/.erlang.cookie /var/lib/consul/* /var/lib/dbus/machine-id
rm -f /var/lib/systemd/random-seed
# Not `clean --machine-id`: that makes the next boot a first boot, which enables every unit again.
: >/etc/machine-id
apt-get clean
journalctl --rotate >/dev/null 2>&1
rm -rf /var/log/journal/* /tmp/* /var/tmp/*
sync
