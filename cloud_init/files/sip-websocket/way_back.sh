#!/bin/sh
# OpenSIPS' answers go to the browsers' addresses: this keeps those of its web sockets on the node, where nginx waits for them.
# As the kernel's own (`proto kernel`), or systemd-networkd would take them away when it starts anew.
set -eu
{% set ws = port("opensips", "ws") %}
wanted="from {{ bind("opensips", "ws") }} ipproto tcp sport {{ ws }} lookup {{ ws }} proto kernel"
rules() { ip -d rule list pref {{ ws }} | sed 's/^[0-9]*:[[:space:]]*//; s/[[:space:]]*$//'; }

ip route replace local default dev lo table {{ ws }} proto kernel
# Added before others, of an address that the node had, are taken away: without any, every web socket would be dead.
rules | grep -qxF "$wanted" || ip rule add pref {{ ws }} $wanted
rules | while read -r rule; do
  case $rule in
  "from {{ bind("opensips", "ws") }} "*) ;;
  *) ip rule delete pref {{ ws }} $rule ;;
  esac
done
