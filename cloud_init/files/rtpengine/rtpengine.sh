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
{% if plan.sip_address %}
# Calls that were taken over from another node: how old they are was asked then.
if [ -r /run/webitel/sip-address ] && read -r taken </run/webitel/sip-address && [ "$taken" -ge $((${left:-0} / 1000000)) ]; then
    left=0
fi
{% endif %}
read -r now _ </proc/uptime
if [ "${left:-0}" -gt 0 ] && [ $((${now%.*} - left / 1000000)) -gt 300 ]; then
    # FreeSWITCH has hung up by now, after 300 s without audio.
    redis FLUSHDB
    exit 0
fi
# Of a browser's call ICE and DTLS do not come back, so that it would end half a minute later, and a re-INVITE would mend nothing.
# One that is not there begins anew with the browser's next re-INVITE (facts/rtpengine-redis.md 5). Of a call with SRTP rtpengine
# writes how often the packets' numbers began anew, and looks for it in another place than that (facts/rtpengine-redis.md 10).
# Callers wait for this, so it takes few programs.
# No file is written: the disk may be full.
gets=$(printf '%s\n' "$keys" | sed 's/[\\"]/\\&/g; s/.*/GET "&"/')
changes=$(printf '%s\n' "$gets" | redis | awk '
    { getline command <"/dev/fd/3" }
    /"protocol":"UDP\/TLS/ { sub("GET", "DEL", command); print command; next }
    /"protocol":"RTP\/SAVP/ {
        sub(/^\{"ssrc_table":\[[^]]*\],/, "{")
        rest = $0; table = ""; split("", most); split("", seen)
        while (match(rest, /\{"ssrc":"[^}]*\}/)) {
            size = split(substr(rest, RSTART, RLENGTH), part, "\"")
            rest = substr(rest, RSTART + RLENGTH)
            seen[part[4]]
            for (i = 6; i < size; i += 4) {
                if (part[i + 2] + 0 >= most[part[4], part[i]] + 0) most[part[4], part[i]] = part[i + 2]
                names[i] = part[i]
            }
        }
        for (source in seen) {
            table = table (table ? "," : "") "{\"ssrc\":\"" source "\""
            for (i in names) table = table ",\"" names[i] "\":\"" most[source, names[i]] "\""
            table = table "}"
        }
        if (!table) next
        value = "{\"ssrc_table\":[" table "]," substr($0, 2)
        gsub(/["\\]/, "\\\\&", value)
        sub("GET", "SET", command)
        print command " \"" value "\" KEEPTTL"
    }' 3<<GETS
$gets
GETS
)
[ -z "$changes" ] || printf '%s\n' "$changes" | redis
