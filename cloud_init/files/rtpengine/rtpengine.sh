#!/bin/sh
# forget: before rtpengine starts, has Redis forget the calls that must not come back. A Redis that does not answer gives none back.
# limit: once it has started, has it wait less for Redis.
set -eu
# rtpengine starts whatever comes of this: a call that should not have come back is less than no call at all.
trap 'exit 0' EXIT
if [ "$1" = limit ]; then
    # A new call waits for three commands at most, and no call while Redis is left alone after that.
    echo "set rediscmdtimeout 100" | curl -sS -m 5 telnet://{{ bind("rtpengine", "cli") }}:{{ port("rtpengine", "cli") }}
    exit
fi
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
# No file is written: the disk may be full.
gets=$(printf '%s\n' "$keys" | sed 's/[\\"]/\\&/g; s/.*/GET "&"/')
deletes=$(printf '%s\n' "$gets" | redis | awk '
    { getline command <"/dev/fd/3" }
    /"protocol":"UDP\/TLS/ { sub("GET", "DEL", command); print command }' 3<<GETS
$gets
GETS
)
[ -z "$deletes" ] || printf '%s\n' "$deletes" | redis
