"""Prometheus stands wherever Grafana may run, and reaches what has figures, and nobody else does."""

import re

import pytest

from components.model.catalogue.monitoring import OPTIONAL, PROMETHEUS
from components.model.catalogue.service import Audience, Bind
from components.model.catalogue.services import CATALOGUE
from components.model.plan import Plan
from components.model.planning.firewall import NodeRule, node_openings
from components.model.settings import Settings
from components.model.share import resolve_catalogue
from tests.plans import compose_configuration, load_stack, make_plan

MEASURED = {
    f"{service.name}.{service.metrics.listener}": service.listener(service.metrics.listener)
    for service in CATALOGUE.values()
    if service.metrics
}
OPENED = {"node-exporter.http", "haproxy.metrics", "rabbitmq.metrics"}
"""What is open for Prometheus and for nobody else."""


def deployment(stack: str, **values: object) -> tuple[Settings, Plan]:
    given = load_stack(stack).settings
    settings = Settings.model_validate(given.model_dump(exclude_unset=True) | values)
    return settings, make_plan(settings, stack)


def openings(settings: Settings, plan: Plan) -> list[tuple[str, NodeRule]]:
    catalogue = resolve_catalogue(settings)
    return [(node.key, rule) for node in plan.nodes for rule in node_openings(plan, node, settings, catalogue)]


def test_prometheus_calls_whatever_has_figures() -> None:
    names = {name for name, listener in MEASURED.items() if listener.bind is not Bind.LOOPBACK}
    assert {call if "." in call else f"{call}.http" for call in PROMETHEUS.calls} == names
    assert all(set(listener.audiences) <= {Audience.CALLERS, Audience.NODE} for listener in MEASURED.values())


@pytest.mark.parametrize("stack", ["aws-basic", "aws-extended"])
def test_what_gives_figures_is_open_to_the_nodes_with_prometheus_alone(stack: str) -> None:
    settings, plan = deployment(stack)
    asking = {node.key for node in plan.nodes_with("prometheus")}
    assert asking == {node.key for node in plan.nodes_with("grafana")}
    found = {(key, f"{rule.service}.{rule.listener}"): rule for key, rule in openings(settings, plan)}
    for node in plan.nodes:
        rule = found.get((node.key, "node-exporter.http"))
        assert set(rule.nodes if rule else ()) == asking - {node.key} and not (rule and rule.networks)
    assert all(set(rule.nodes) <= asking for (_, name), rule in found.items() if name in OPENED)
    assert not any(name.startswith("prometheus.") for _, name in found)


def test_every_node_that_may_run_grafana_has_a_prometheus_of_its_own() -> None:
    settings, plan = deployment("aws-basic", counts={"data": 3})
    assert [node.key for node in plan.nodes_with("prometheus")] == ["data-1", "data-2", "data-3"]
    for node in plan.nodes_with("prometheus"):
        files = compose_configuration(plan, node, settings).files
        assert "url: http://127.0.0.1:9090\n" in files["/etc/grafana/provisioning/datasources/webitel.yaml"]
        targets = files["/etc/prometheus/prometheus.yml"]
        assert all(f'"{{{{address:{other.key}}}}}:9100"' in targets for other in plan.nodes)
        assert targets.count("127.0.0.1:9090") == 1
        assert not any(
            unit["name"] == "prometheus" and unit.get("moves") for unit in compose_configuration(plan, node, settings).units
        )


def test_a_node_that_leaves_is_not_asked() -> None:
    settings, plan = deployment("aws-basic", counts={"data": 3}, leaving=["data-2", "data-3"])
    targets = compose_configuration(plan, plan.nodes[0], settings).files["/etc/prometheus/prometheus.yml"]
    assert "data-1" in targets and "data-2" not in targets and "data-3" not in targets


def test_without_monitoring_nothing_of_it_is_there_or_open() -> None:
    settings, plan = deployment("aws-basic", monitoring=False)
    assert not any(OPTIONAL & set(node.services) for node in plan.nodes)
    assert not OPENED & {f"{rule.service}.{rule.listener}" for _, rule in openings(settings, plan)}
    for node in plan.nodes:
        configuration = compose_configuration(plan, node, settings)
        assert not any("prometheus" in package for package in configuration.manifest["packages"])
        texts = configuration.files
        assert not any("prometheus-exporter" in text or ":9090" in text for text in texts.values())
        assert not any("prometheus" in text for path, text in texts.items() if path.startswith("/etc/rabbitmq/"))


def test_how_long_and_how_much_is_kept() -> None:
    settings, plan = deployment("local-single", metrics_days=90, metrics_gib=4)
    text = compose_configuration(plan, plan.nodes[0], settings).files["/etc/default/prometheus"]
    assert "--storage.tsdb.retention.time=90d" in text and "--storage.tsdb.retention.size=4GB" in text


def test_a_larger_boot_disk_has_room_for_more_figures_and_none_is_needed_without_monitoring() -> None:
    assert deployment("aws-basic", metrics_gib=60, disk_sizes={"data.boot": 120})
    assert deployment("aws-basic", metrics_gib=60, monitoring=False)


def test_the_heartbeat_is_sent_at_every_look() -> None:
    """Alertmanager sends again what it sent longer ago than `repeat_interval`, and looks every `group_interval`: where both are
    the same, every second beat is left out, and what expects one a minute alarms (seen with 0.25.0)."""
    settings, plan = deployment("local-single", alert_heartbeat="SET")
    text = compose_configuration(plan, plan.nodes[0], settings).files["/etc/prometheus/alertmanager.yml"]
    _, _, route = text.partition("receiver: heartbeat\n")
    (every,), (again,) = (re.findall(rf"{name}: (\d+)s\n", route) for name in ("group_interval", "repeat_interval"))
    assert int(every) == 60 and int(again) < int(every)


def test_alertmanagers_of_a_cluster_know_one_another() -> None:
    settings, plan = deployment("aws-basic", counts={"data": 3})
    text = compose_configuration(plan, plan.nodes[0], settings).files["/etc/default/prometheus-alertmanager"]
    assert text.count("--cluster.peer=") == 2 and "--cluster.listen-address={{address:data-1}}:9094" in text
    peers = {
        rule.listener: rule.nodes for key, rule in openings(settings, plan) if key == "data-1" and rule.service == "alertmanager"
    }
    assert peers == dict.fromkeys(("http", "gossip", "gossip-udp"), ("data-2", "data-3"))
    settings, plan = deployment("aws-basic")
    assert (
        '--cluster.listen-address="'
        in compose_configuration(plan, plan.nodes[0], settings).files["/etc/default/prometheus-alertmanager"]
    )


def test_targets_of_alerts_have_their_way_out_and_secrets_go_to_alertmanager_alone() -> None:
    settings, plan = deployment(
        "aws-basic",
        alert_mail=["night@your-company.com"],
        alert_mail_server="192.0.2.25:2525",
        alert_mail_from="phones@your-company.com",
        alert_webhook="https://alerts.your-company.com:8443/x",
        alert_heartbeat="SET",
    )
    ways = {(way.role, way.ports, way.destinations) for way in plan.egress if "alerts" in way.purposes}
    assert ways == {("data", "2525", ("192.0.2.25/32",)), ("data", "8443", ("0.0.0.0/0",))}
    for node in plan.nodes:
        configuration = compose_configuration(plan, node, settings)
        assert ("alert_heartbeat" in configuration.secrets) == (node.role == "data")
        assert ("{{secret:alert_heartbeat}}" in "".join(configuration.files.values())) == (node.role == "data")
