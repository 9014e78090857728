#!/bin/sh
# User, virtual host with quorum queues, and the exchanges that services expect but nobody declares, while the broker runs: at
# its start it reads the same definitions by itself. Safe at any time.
set -eu
export LC_ALL=C.UTF-8

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
