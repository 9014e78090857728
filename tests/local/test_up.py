"""`./webitel up` on a machine of one's own: what stands on the node when it has ended."""

import json
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from components.model.settings import Settings
from tests.clouds.conformance.checks import read_sent
from tests.local.conftest import Figure
from tests.local.deployment import Deployment

pytestmark = pytest.mark.local

EXCHANGES = {"call", "chat", "webitel", "opensips"}
NG_OFFER = """
import json, os, socket, time
sdp = "v=0\\r\\no=- 1 1 IN IP4 192.0.2.1\\r\\ns=-\\r\\nc=IN IP4 192.0.2.1\\r\\nt=0 0\\r\\nm=audio 4000 RTP/AVP 8\\r\\n"
call = f"test-{time.time_ns()}"
def text(value):
    return f"{len(value)}:{value}"
def ask(command, more=""):
    message = f"{os.urandom(6).hex()} d{text('call-id')}{text(call)}{text('command')}{text(command)}{text('from-tag')}1:a{more}e"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ng:
        ng.settimeout(5)
        ng.sendto(message.encode(), ("127.0.0.1", 60000))
        return ng.recv(65535).decode()
offered = ask("offer", text("sdp") + text(sdp))
print(json.dumps([offered, ask("delete")]))
"""


def ask_psql(single: Deployment, password: str, statement: str, *, check: bool = True) -> str:
    """Ask the database by way of HAProxy as the services do; the password travels on standard input."""
    return single.on_node(
        "read -r PGPASSWORD; export PGPASSWORD; "
        f"psql -XAtq 'host=127.0.0.1 port=5432 dbname=webitel user=opensips' -c \"{statement}\" 2>&1",
        text=password + "\n",
        check=check,
    )


def promised_end() -> list[str]:
    """What README.md says `up` ends with, figures aside; not its last line, which names a stack other than the default one."""
    block = Path("README.md").read_text().partition("like this:\n\n")[2].partition("\n\n")[0]
    lines = [line.strip() for line in block.splitlines() if line.strip() != "..."]
    assert len(lines) == 4 and lines.pop().startswith("Next: "), lines
    return lines


def test_up_ends_with_every_service_healthy(single: Deployment) -> None:
    said = (single.said / "0000-up.out").read_text() + (single.said / "0000-up.err").read_text()
    plan = single.plan()
    (node,) = plan["nodes"]
    services = len(node["services"])
    assert f"{services} of {services} services healthy." in said
    assert f" {single.node}  healthy in " in said
    assert f"https://{single.address}/" in said
    assert "Sandbox: " in said
    assert re.search(r"^Licence identifier [0-9a-f-]{36}: send it to Webitel", said, re.MULTILINE)
    assert re.search(r"^First log-in: ", said, re.MULTILINE)
    for line in promised_end():
        assert re.search(re.sub(r"\d+", r"\\d+", re.escape(" ".join(line.split()))), " ".join(said.split())), line
    report = single.status()
    assert report["healthy"]
    assert report["url"] == f"https://{single.address}/"
    assert [service["name"] for service in report["nodes"]["all-1"]["services"]] == node["services"]
    assert {disk["purpose"] for disk in report["nodes"]["all-1"]["disks"]} == {"database", "recordings"}
    # One line a service, two disks, clock, emergency calls, the certificate for the world, those of Consul, the database and the
    # broker, and their sum: each of them healthy.
    table = single.webitel("status", single.name).output
    assert table.count(" healthy") == services + 2 + 2 + 4 + 1


def test_second_up_changes_nothing(single: Deployment, figure: Figure) -> None:
    before = single.units()
    done = single.up("--json")
    figure("up with nothing to change", done.seconds)
    answer = json.loads(done.output)
    assert set(answer["changes"]) <= {"same", "read"}
    assert answer["healthy"]
    assert done.seconds < 60
    assert single.units() == before
    assert "Nothing to change." in single.up().output


def test_plain_pulumi_works_from_a_subfolder(single: Deployment) -> None:
    # As the README says: the environment's own variables, then Pulumi; -C names the checkout or a folder in it.
    done = single.webitel(
        "pulumi",
        "-C",
        str(single.checkout / "stacks"),
        "preview",
        "--stack",
        single.name,
        "--expect-no-changes",
        "--non-interactive",
    )
    assert "unchanged" in done.output
    single.set()  # Pulumi writes the passphrase's salt into the stack file


def test_checkout_stays_clean(single: Deployment, tmp_path: Path) -> None:
    single.webitel("render", single.name, str(tmp_path / "rendered"))
    single.webitel("preview", single.name)
    assert single.find_changed_files() == []


def test_database(single: Deployment) -> None:
    rows = single.on_node(
        "runuser -u postgres -- psql -XAt -c 'select rolname, left(rolpassword, 14) from pg_authid where rolcanlogin'"
    )
    roles = dict(row.split("|") for row in rows.splitlines())
    assert {"postgres", "replicator", "rewinder", "opensips", "grafana", "grafana_store"} <= roles.keys()
    assert set(roles.values()) == {"SCRAM-SHA-256$"}
    password = single.read_secrets()["database_password"]
    assert ask_psql(single, password, "select count(*) from webitel_setup.done") == "1"
    assert "password authentication failed" in ask_psql(single, "webitel", "select 1", check=False)


def test_broker(single: Deployment) -> None:
    assert single.on_node("rabbitmqctl -q list_users --no-table-headers") == "webitel\t[monitoring]"
    assert single.on_node("rabbitmqctl -q list_vhosts --no-table-headers name default_queue_type") == "/\tquorum"
    rows = single.on_node("rabbitmqctl -q list_exchanges -p / --no-table-headers name type durable").splitlines()
    found = {row.split("\t")[0] for row in rows if row.endswith("\ttopic\ttrue")}
    assert found >= EXCHANGES


def test_consul_has_a_leader(single: Deployment) -> None:
    assert single.on_node("curl -sSf http://127.0.0.1:8500/v1/status/leader") == f'"{single.address}:8300"'
    settings = json.loads(single.on_node("curl -sSf http://127.0.0.1:8500/v1/agent/self"))["DebugConfig"]
    assert [settings[key] for key in ("VerifyIncomingRPC", "VerifyOutgoing", "VerifyServerHostname")] == [True] * 3
    assert settings["EncryptKey"] == "hidden"


def test_database_and_broker_answer_on_the_loopback_through_haproxy(single: Deployment) -> None:
    shown = single.on_node("ss -Hltnp").splitlines()
    for port in (5432, 5672):
        (line,) = [line for line in shown if f" 127.0.0.1:{port} " in line]
        assert '"haproxy"' in line
    program = (
        "import sys, pika; c = pika.BlockingConnection(pika.ConnectionParameters('127.0.0.1', 5672, '/', "
        "pika.PlainCredentials('webitel', sys.stdin.read()))); c.channel(); print('open'); c.close()"
    )
    assert single.python_on_node(program, text=single.read_secrets()["broker_password"]) == "open"


def test_https_answers_with_the_deployments_certificate(single: Deployment, tmp_path: Path) -> None:
    certificate = tmp_path / "authority.pem"
    outputs = json.loads(single.webitel("pulumi", "stack", "output", "--json", "--stack", single.name).output)
    certificate.write_text(outputs["authority_certificate"])
    asked = f"GET / HTTP/1.1\r\nHost: {Settings.model_fields['domain'].default}\r\n\r\n".encode()
    context = ssl.create_default_context(cafile=str(certificate))
    with (
        socket.create_connection((single.address, 443), 10) as raw,
        context.wrap_socket(raw, server_hostname=Settings.model_fields["domain"].default) as connection,
    ):
        connection.sendall(asked)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection((single.address, 80), 10) as plain:
        plain.sendall(asked)
        assert plain.recv(4096).startswith(b"HTTP/1.1 301 ")


def test_rtpengine_takes_an_offer(single: Deployment) -> None:
    offered, deleted = json.loads(single.python_on_node(NG_OFFER))
    assert "6:result2:ok" in offered
    assert f"c=IN IP4 {single.address}\r\n" in offered
    assert "6:result2:ok" in deleted


def test_cloud_init_accepts_the_user_data(single: Deployment, tmp_path: Path) -> None:
    done = json.loads(single.on_node("cat /run/cloud-init/status.json"))["v1"]
    assert {name: stage["errors"] for name, stage in done.items() if isinstance(stage, dict) and stage["errors"]} == {}
    single.webitel("render", single.name, str(tmp_path))
    user_data = (tmp_path / single.node / "user-data.decoded").read_text()
    check = "cat >/run/user-data && cloud-init schema --config-file /run/user-data 2>&1"
    assert "Valid cloud-config" in single.on_node(f"{check}; r=$?; rm /run/user-data; exit $r", text=user_data)
    assert "Valid cloud-config" in single.on_node("cloud-init schema --system 2>&1")
    sent = (tmp_path / single.node / "user-data").read_text()
    assert len(sent.encode("ascii")) <= 16384
    text, key = read_sent(single.on_node("cat /var/lib/cloud/instance/user-data.txt"))
    assert text == user_data and "PRIVATE KEY" in key


def test_the_throw_away_host_key_of_the_user_data_opens_nothing_any_more(single: Deployment) -> None:
    scan = ["ssh-keyscan", "-t", "rsa,ecdsa,ed25519", single.address]
    shown = subprocess.run(scan, capture_output=True, text=True, check=True, timeout=30, stdin=subprocess.DEVNULL).stdout
    served = [line.split()[1:] for line in shown.splitlines() if not line.startswith("#")]
    own = single.find_resource("NodeConfiguration")["outputs"]["host_key"].split()
    assert served == [own]
    booted = single.on_node("cat /etc/ssh/ssh_host_*_key.pub").splitlines()
    assert [line.split()[0] for line in booted] == ["ssh-ed25519"] and booted[0].split()[1] != own[1]
    # cloud-init puts that one back, and nobody notices.
    single.on_node("cloud-init single --name ssh --frequency always && systemctl reload ssh", seconds=60)
    single.webitel("ssh", single.node, "--", "true")


def test_every_unit_of_the_system_works(single: Deployment) -> None:
    assert single.on_node("systemctl --failed --quiet; systemctl is-system-running") == "running"


def test_ssh_and_logs(single: Deployment) -> None:
    done = single.webitel("ssh", single.node, "--", "sh", "-c", "hostname; echo 'two  blanks'; exit 3", status=3)
    assert done.output == f"{single.node}\ntwo  blanks\n"
    assert "consul" in single.webitel("logs", single.node, "consul", "--lines", "5").output
    assert (
        "no service nonsense on this node; its services are chrony"
        in single.webitel("logs", single.node, "nonsense", status=1).errors
    )
