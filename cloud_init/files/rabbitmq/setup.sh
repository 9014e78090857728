#!/bin/sh
# User, virtual host with quorum queues, and the exchanges that services expect but nobody declares, while the broker runs: at
# its start it reads the same definitions by itself. Safe at any time.
set -eu
export LC_ALL=C.UTF-8

API=http://{{ bind("rabbitmq", "management") }}:{{ port("rabbitmq", "management") }}/api
# The password goes to curl by its standard input, never as an argument.
ask() { path=$1; shift; login | curl -sf -K - "$@" "$API/$path"; }
login() { sed -n 's/.*"name": "\(webitel\)", "password": "\([^"]*\)".*/user = "\1:\2"/p' /etc/rabbitmq/definitions.json; }
make_exchange() { ask "exchanges/%2F/$1" -o /dev/null -X PUT -H 'content-type: application/json' -d '{"type":"topic","durable":true}'; }

# What a first start made by itself is asked for in a tenth of a second; each rabbitmqctl below takes one or two.
is_set_up() {
  ask vhosts | grep -q '"metadata":{"default_queue_type":"quorum"[^}]*},"name":"/"' || return 1
  for exchange in {{ exchanges | join(" ") }}; do make_exchange "$exchange" || return 1; done
}
if is_set_up; then exit; fi

rabbitmqctl -q await_startup --timeout 600
# A broker whose first start knew no definitions made `/` without a default queue type, which cannot be changed afterwards:
# the member that began the cluster makes it anew while it is empty, the others wait for it.
tries=0
until rabbitmqctl -q list_vhosts name default_queue_type | grep -q "^/	quorum"; do
  if [ "$(hostname)" != "{{ nodes_with("rabbitmq")[0].name }}" ] && [ $tries -lt 120 ]; then
    tries=$((tries + 1)); sleep 1
  elif [ -z "$(rabbitmqctl -q list_queues -p / --no-table-headers name)" ]; then
    rabbitmqctl -q delete_vhost / || true
    rabbitmqctl -q add_vhost / --default-queue-type quorum
  else
    echo "virtual host / has queues and no quorum default: left as it is" >&2
    break
  fi
done
rabbitmqctl -q import_definitions /etc/rabbitmq/definitions.json
if rabbitmqctl -q list_users --no-table-headers | grep -q "^guest	"; then rabbitmqctl -q delete_user guest; fi
