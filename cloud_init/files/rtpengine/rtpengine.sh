#!/bin/sh
# forget: before rtpengine starts, forgets calls that ended while it was away: FreeSWITCH hangs up after 300 s without audio.
set -eu
left=$(systemctl show -P ActiveExitTimestampMonotonic rtpengine-daemon)
read -r now _ </proc/uptime
[ "${left:-0}" -gt 0 ] || exit 0
away=$((${now%.*} - left / 1000000))
[ "$away" -gt 300 ] || exit 0
echo "it was away for $away s: calls in Redis are forgotten"
# One that does not answer keeps nothing from starting: rtpengine does not find its calls there either.
timeout 5 redis-cli -h {{ bind("redis", "calls") }} -p {{ port("redis", "calls") }} -n 1 FLUSHDB || echo "Redis does not answer"
