#!/bin/sh
# User, virtual host with quorum queues, and the exchanges that services expect. Safe at any time.
set -eu
export LC_ALL=C.UTF-8

API=http://{{ bind("rabbitmq", "management") }}:{{ port("rabbitmq", "management") }}/api
# The password is no argument: others could read it.
ask() { path=$1; shift; login | curl -sf -K - "$@" "$API/$path"; }
login() { sed -n 's/.*"name": "\(webitel\)", "password": "\([^"]*\)".*/user = "\1:\2"/p' /etc/rabbitmq/definitions.json; }
make_exchange() { ask "exchanges/%2F/$1" -o /dev/null -X PUT -H 'content-type: application/json' -d '{"type":"topic","durable":true}'; }

# A first start makes all of it by itself, and each rabbitmqctl below takes a second or two.
is_set_up() {
  ask vhosts | grep -q '"metadata":{"default_queue_type":"quorum"[^}]*},"name":"/"' || return 1
  for exchange in {{ exchanges | join(" ") }}; do make_exchange "$exchange" || return 1; done
}
{% if nodes_with("prometheus") %}
# The broker of an earlier version runs without the plugin that Prometheus asks, and takes it up without a restart. Its own list of
# enabled plugins says what stands in the file.
add_figures() {
  if curl -s -o /dev/null -m 10 "http://{{ bind("rabbitmq", "metrics") }}:{{ port("rabbitmq", "metrics") }}/"; then return; fi
  where='[{ip, "{{ bind("rabbitmq", "metrics") }}"}, {port, {{ port("rabbitmq", "metrics") }}}]'
  rabbitmqctl -q eval "application:set_env(rabbitmq_prometheus, tcp_config, $where, [{persistent, true}]),
    rabbit_plugins:ensure(\"/etc/rabbitmq/enabled_plugins\")."
}
{% else %}
# Nor does it need one to lay down the plugin when nobody asks it any more.
add_figures() {
  # The list of enabled plugins says what stands in the file.
  if ask "nodes/rabbit@$(hostname)?columns=applications" | grep -q '"rabbitmq_prometheus"'; then
    rabbitmqctl -q eval 'rabbit_plugins:ensure("/etc/rabbitmq/enabled_plugins").'
  fi
}
{% endif %}
if is_set_up; then add_figures; exit; fi

rabbitmqctl -q await_startup --timeout 600
# Without definitions `/` is made with no default queue type, for good: the member that began the cluster makes it anew while
# it is empty, the others wait.
tries=0
until rabbitmqctl -q list_vhosts name default_queue_type | grep -q "^/	quorum"; do
  if [ "{{ node.name }}" != "{{ nodes_with("rabbitmq")[0].name }}" ] && [ $tries -lt 120 ]; then
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
add_figures
