"""Units as the vendor ships them in 25.08: settings, passwords too, in the arguments. Our own units must win over them."""

from __future__ import annotations

DATABASE = "postgres://opensips:webitel@127.0.0.1:5432/webitel?application_name={name}&sslmode=disable"
BROKER = "amqp://webitel:webitel@127.0.0.1:5672?heartbeat=10"

COMMANDS = {
    "engine": "engine -id 10 -consul 127.0.0.1:8500 -grpc_addr 127.0.0.1 -grpc_port 10040 -websocket 127.0.0.1:10022 "
    "-open_sip_addr 1.1.1.1 -sip_proxy_addr sip:1.1.1.1 -ws_sip_addr 1.1.1.1 -presigned_cert /opt/storage/key.pem "
    "-amqp {broker} -data_source {database}",
    "storage": "storage -id 1 -consul 127.0.0.1:8500 -grpc_addr 127.0.0.1 -public_address 127.0.0.1:10023 "
    "-internal_address 127.0.0.1:10021 -public_host https://example.org -media_directory /opt/storage/data "
    "-presigned_cert /opt/storage/key.pem -message_broker_url {broker} -data_source {database}",
    "call_center": "call_center -id 1 -consul 127.0.0.1:8500 -grpc_addr 127.0.0.1 -amqp {broker} -data_source {database}",
    "flow_manager": "flow_manager -id 20 -consul 127.0.0.1:8500 -grpc_addr localhost -esl_host 127.0.0.1 -esl_port 10030 "
    "-web_addr localhost:5689 -presigned_cert /opt/storage/key.pem -amqp {broker} -data_source {database}",
    "webitel-logger": "webitel-logger -id 20 -consul 127.0.0.1:8500 -grpc_addr 127.0.0.1:10011 "
    "-amqp {broker} -data_source {database}",
    "webitel-cases": "webitel-cases",
    "messages-srv": "messages app",
    "messages-bot": "messages bot --address=127.0.0.1:10031 --site_url=https://example.org/chat "
    "--web_root=/var/lib/webitel/public-html",
    "webitel-api": "webitel api --address=127.0.0.1:8080",
    "webitel-app": "webitel app --apr-conf-dir=/opt/webitel/provisioning --apr-boot-dir=/var/lib/webitel",
    "webitel-uac": "webitel uac --register-max-attempts=99",
}

ENVIRONMENT = {"webitel-cases": "/etc/default/webitel-cases.env"}


def vendor_unit(unit: str) -> str:
    """The text of a unit; the logger's has no Restart= (`facts/observed.md` 0.1)."""
    command = COMMANDS[unit].format(broker=BROKER, database=DATABASE.format(name=unit).replace("%", "%%"))
    restart = "" if unit == "webitel-logger" else "Restart=always\n"
    environment = ENVIRONMENT.get(unit, "/etc/default/webitel")
    files = "" if command.count("-data_source") else f"EnvironmentFile=-{environment}\n"
    return (
        f"[Unit]\nDescription={unit} as the vendor ships it\nAfter=network.target\n\n"
        f"[Service]\nType=simple\n{files}ExecStart=/usr/local/bin/{command}\n{restart}\n[Install]\nWantedBy=multi-user.target\n"
    )
