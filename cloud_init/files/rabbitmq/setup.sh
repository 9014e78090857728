#!/bin/sh
# User, virtual host with quorum queues, and the exchanges that services expect but nobody declares. Safe at any time.
set -eu
export LC_ALL=C.UTF-8
PASSWORD=$(cat /etc/webitel/broker.password)
API=http://{{ bind("rabbitmq", "management") }}:{{ port("rabbitmq", "management") }}/api

rabbitmqctl -q await_startup --timeout 600
# `/` is made at the first boot without a default queue type, which cannot be changed afterwards: the member that began the
# cluster makes it anew while it is empty, the others wait for it.
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
if rabbitmqctl -q list_users --no-table-headers | grep -q "^webitel	"; then
  rabbitmqctl -q authenticate_user webitel < /etc/webitel/broker.password >/dev/null 2>&1 ||
    rabbitmqctl -q change_password webitel < /etc/webitel/broker.password
else
  rabbitmqctl -q add_user webitel < /etc/webitel/broker.password
fi
rabbitmqctl -q set_user_tags webitel monitoring
rabbitmqctl -q set_permissions -p / webitel '.*' '.*' '.*'
rabbitmqctl -q list_users --no-table-headers | grep -q "^guest	" && rabbitmqctl -q delete_user guest

for exchange in call chat webitel opensips; do
  # The password goes to curl by its standard input, never as an argument.
  printf 'user = "webitel:%s"\n' "$PASSWORD" | curl -sSf -K - -o /dev/null -X PUT -H 'content-type: application/json' \
    -d '{"type":"topic","durable":true}' "$API/exchanges/%2f/$exchange"
done
