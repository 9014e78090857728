#!/bin/sh
# forget: before rtpengine starts, has Redis forget the calls that must not come back. A Redis that does not answer gives none back.
set -eu
redis() { timeout "${limit:-5}" redis-cli -h {{ bind("redis", "calls") }} -p {{ port("redis", "calls") }} -n 1 "$@"; }

keys=$(limit=1 redis KEYS '*') || exit 0
[ -n "$keys" ] || exit 0
left=$(systemctl show -P ActiveExitTimestampMonotonic rtpengine-daemon)
read -r now _ </proc/uptime
if [ "${left:-0}" -gt 0 ] && [ $((${now%.*} - left / 1000000)) -gt 300 ]; then
    # FreeSWITCH has hung up by now, after 300 s without audio.
    redis FLUSHDB
    exit 0
fi
# Of a browser's call ICE and DTLS do not come back, so that it would end half a minute later, and a re-INVITE would mend nothing.
# One that is not there begins anew with the browser's next re-INVITE (facts/rtpengine-redis.md 5).
# Callers wait for this, so it takes few programs.
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
printf '%s\n' "$keys" | sed 's/[\\"]/\\&/g; s/.*/GET "&"/' >"$folder/get"
redis <"$folder/get" | awk -v get="$folder/get" '
    { getline command <get }
    /"protocol":"UDP\/TLS/ { sub("GET", "DEL", command); print command }' >"$folder/delete"
[ ! -s "$folder/delete" ] || redis <"$folder/delete"
