#!/bin/sh
# Asks a running OpenSIPS for one command of its management interface, such as `reload_routes`; one that does not run needs none.
set -eu
mi() { curl -sS -m 20 -H 'Content-Type: application/json' -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\"}" "http://{{ bind("opensips", "mi") }}:{{ port("opensips", "mi") }}/mi"; }

mi version >/dev/null 2>&1 || exit 0
answer=$(mi "$1")
case $answer in
*'"result"'*) ;;
*) echo "OpenSIPS refused $1: $answer" >&2; exit 1 ;;
esac
