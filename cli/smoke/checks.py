"""All checks of the smoke test, in the order of its table. The page for operators has its table of them from here."""

from __future__ import annotations

from cli.smoke import account, certificate, closed, media, names, sip, sockets, web
from cli.smoke.check import Check
from cli.smoke.inside import Inside


def make_checks() -> tuple[Check, ...]:
    """Return the checks of one run: the nodes are asked once in it."""
    inside = Inside()
    return (
        Check(
            "names",
            "The domain's records, asked of this machine's resolver, are those that `up` printed",
            "set the records that ./webitel up prints, or let dns_zone do it; a change takes some minutes to arrive",
            names.check_names,
        ),
        Check(
            "certificate",
            "What each node of the web shows has a chain to its issuer, the right name, and enough days left",
            "./webitel status says why it was not renewed; certificate_pem takes a new one of your own",
            certificate.check_certificate,
        ),
        Check(
            "web",
            "Every place of nginx's site answers; what is for operators is closed to others; http leads to https",
            "./webitel status, then ./webitel logs NODE nginx",
            web.check_places,
        ),
        Check(
            "api",
            "The API gateway answers through nginx, and Grafana where this machine may ask it",
            "./webitel logs NODE webitel-api, or grafana",
            web.check_api,
        ),
        Check(
            "web sockets",
            "The doors for events and for SIP in a browser open a web socket",
            "./webitel logs NODE engine, or sip-websocket on the node of OpenSIPS",
            sockets.check_sockets,
        ),
        Check(
            "sip",
            "OPTIONS is answered by UDP, TCP and TLS where the plan lets this machine in, and by web socket",
            "./webitel logs NODE opensips; a firewall of your own in front of the node may hold it up",
            sip.check_doors,
        ),
        Check(
            "audio",
            "Ten seconds of audio both ways through rtpengine at its advertised address: loss, jitter, delay, MOS",
            "open the ports that ./webitel plan shows for rtpengine in every firewall in front of the node, then "
            "./webitel logs NODE rtpengine",
            media.check_audio,
        ),
        Check(
            "closed ports",
            "No port of the catalogue answers that the plan does not open to this machine",
            "./webitel drift: somebody opened it outside of webitel",
            closed.check_closed,
        ),
        Check(
            "discovery", "Consul works, and every service is found in it", "./webitel logs NODE consul", inside.check("discovery")
        ),
        Check(
            "database",
            "PostgreSQL, its cluster and the way to it work",
            "./webitel logs NODE postgresql",
            inside.check("database"),
        ),
        Check("broker", "RabbitMQ takes log-ins and is whole", "./webitel logs NODE rabbitmq", inside.check("broker")),
        Check("services", "Every other service does its work", "./webitel status", inside.check("services")),
        Check("clocks", "No node's clock is off", "./webitel ssh NODE -- chronyc sources", inside.check("clocks")),
        Check("disks", "Every data disk is there and has room", "./webitel status", inside.check("disks")),
        Check(
            "backup",
            "Where backups are set, the newest is not late and none of the database's log waits",
            "./webitel backups says what there is, ./webitel backup makes one now",
            inside.check("backup"),
        ),
        Check("alerts", "No critical alert fires", "./webitel status says where to look", inside.check_alerts),
        Check(
            "call",
            "With `--account`: the phone registers, and a call of ten seconds to the number of `--call` is answered and heard",
            "./webitel logs NODE opensips; the account and the number have to exist in Webitel",
            account.check_call,
        ),
    )
