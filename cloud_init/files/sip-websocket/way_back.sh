#!/bin/sh
# OpenSIPS' answers go to the browsers' addresses: this keeps those of its web sockets on the node, where nginx waits for them.
# As the kernel's own (`proto kernel`), or systemd-networkd would take them away when it starts anew.
set -eu
{% set ws = port("opensips", "ws") %}
ip route replace local default dev lo table {{ ws }} proto kernel
while ip rule delete pref {{ ws }} 2>/dev/null; do :; done
ip rule add pref {{ ws }} from {{ bind("opensips", "ws") }} ipproto tcp sport {{ ws }} lookup {{ ws }} protocol kernel
