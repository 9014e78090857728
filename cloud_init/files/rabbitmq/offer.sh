#!/bin/sh
# Has a broker that runs offer TLS as tls.conf has it from the next start on, and read its certificate anew.
set -eu
export LC_ALL=C.UTF-8

# At the first configuration it does not run yet: its own start does it.
systemctl is-active -q rabbitmq-server || exit 0
rabbitmqctl -q await_startup --timeout 600
rabbitmqctl -q eval '
  File = "/etc/webitel/broker.pem",
  Tls = [{certfile, File}, {keyfile, File}],
  Both = Tls ++ [{versions, [list_to_atom("tlsv1.3"), list_to_atom("tlsv1.2")]}],
  ssl:clear_pem_cache(),
  application:set_env(rabbit, ssl_options, Both),
  {ok, Acceptors} = application:get_env(rabbit, num_ssl_acceptors),
  case rabbit_networking:start_ssl_listener({"{{ bind("rabbitmq", "amqps") }}", {{ port("rabbitmq", "amqps") }}, auto}, Both, Acceptors) of
    ok -> ok;
    {error, {could_not_start_listener, _, _, {already_started, _}}} -> ok
  end,
  Place = [{ip, "{{ bind("rabbitmq", "management-tls") }}"}, {port, {{ port("rabbitmq", "management-tls") }}}],
  application:set_env(rabbitmq_management, ssl_config, Place ++ Tls),
  rabbit_mgmt_app:reset_dispatcher([]).' >/dev/null
