"""What a query says between two nodes: real PostgreSQL and HAProxy with our files, and somebody who listens on the wire."""

import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import yaml

from cloud_init.node.clusters import encryption
from stacks.load import load_deployment
from tests.plans import compose_configuration
from tests.sandbox.encrypted_nodes import DATABASE, SECRET, Nodes, Wire, made_nodes

pytestmark = pytest.mark.sandbox


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with made_nodes() as made:
        yield made


def reach(nodes: Nodes, **more: str) -> str:
    """What a client on the database's own network would try."""
    given = {"host": DATABASE, "dbname": "webitel", "user": "opensips", "password": nodes.secrets["database_password"]} | more
    return " ".join(f"{name}={value}" for name, value in given.items())


def test_nothing_of_a_query_can_be_read_between_nodes(nodes: Nodes) -> None:
    with nodes.database(nodes.patroni), nodes.proxy():
        wire = Wire()
        said = nodes.ask(nodes.source, f"select '{SECRET}' || '-and-more'")
        seen = wire.end()
        assert said.stdout.strip() == f"{SECRET}-and-more", said.stderr
        assert len(seen) > 1000, "the wire was not listened to"
        assert SECRET.encode() not in seen and b"opensips" not in seen


def test_who_comes_without_tls_is_refused_and_a_member_follows_bound_to_its_connection(nodes: Nodes) -> None:
    with nodes.database(nodes.patroni):
        assert "no encryption" in nodes.ask(reach(nodes, sslmode="disable"), "select 1").stderr
        tls = yaml.safe_load(nodes.patroni)["postgresql"]["authentication"]["replication"]
        chosen = {
            "user": tls["username"],
            **{name: tls[name] for name in ("password", "sslmode", "sslrootcert", "channel_binding")},
        }
        followed = nodes.ask(reach(nodes, **chosen, replication="true"), "IDENTIFY_SYSTEM")
        assert followed.returncode == 0, followed.stderr


@pytest.mark.parametrize("held", ["web_certificate", "broker_certificate"])
def test_nobody_else_can_answer_in_the_databases_place(nodes: Nodes, held: str) -> None:
    """The node that the internet reaches has a certificate of the deployment too, and the broker one of the same authority."""
    other = nodes.folder / "other.pem"
    other.write_text(nodes.secrets[held])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(other)
    with socket.create_server(("127.0.0.1", 5432)) as impostor, ExitStack() as stack:

        def answer() -> None:
            connection, _ = impostor.accept()
            connection.recv(8)
            connection.sendall(b"S")
            with suppress(OSError):  # the client says why it leaves, or leaves
                stack.enter_context(context.wrap_socket(connection, server_side=True)).recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        said = nodes.ask(nodes.source, "select 1").stderr
        assert "certificate verify failed" in said or "does not match host name" in said
        thread.join(10)


def test_each_round_refuses_nobody_and_the_last_one_who_asks_for_no_tls(nodes: Nodes) -> None:
    open_member = encryption.replace(nodes.patroni, encryption.MEMBER)
    assert open_member != nodes.patroni
    before = re.sub(r"^    ssl.*\n", "", open_member, flags=re.MULTILINE)
    plain, asking = reach(nodes, sslmode="disable"), nodes.source
    strict, relaxed = next(pair for pair in encryption.CLIENT if pair[1] == "sslmode=disable")
    strict = strict.replace("/etc/webitel/", f"{nodes.folder}/")
    assert strict in asking
    with nodes.database(before):
        assert encryption.offers(DATABASE, 5432) is False
        wire = Wire()
        assert nodes.ask(plain, f"select '{SECRET}'").returncode == 0
        assert SECRET.encode() in wire.end(), "who listens here hears nothing at all"
        # As OpenSIPS asks, which is not restarted: by libpq's default.
        silent = reach(nodes)
        assert nodes.ask(silent, "select 1").returncode == 0
        nodes.reload(open_member)
        assert encryption.offers(DATABASE, 5432) is True
        assert nodes.ask(plain, "select 1").returncode == 0
        with nodes.proxy():
            assert nodes.ask(asking.replace(strict, relaxed), "select 1").returncode == 0
            held = subprocess.Popen(["psql", "-XAtq", plain], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert held.stdin and held.stdout
            held.stdin.write("select 1;\n")
            held.stdin.flush()
            assert held.stdout.readline() == "1\n"
            nodes.reload(encryption.replace(open_member, encryption.MEMBER, back=True))
            assert nodes.ask(asking, "select 1").returncode == 0
            assert nodes.ask(silent, "select ssl from pg_stat_ssl where pid = pg_backend_pid()").stdout.strip() == "t"
            assert nodes.ask(plain, "select 1").returncode != 0
            assert held.communicate("select 2;\n", 10)[0] == "2\n", "a session from before was cut"
    assert encryption.offers(DATABASE, 5432) is None


def test_a_wrong_file_of_haproxys_is_named_with_its_line_at_the_first_configuration_too(nodes: Nodes) -> None:
    """The certificate that it names is only staged then."""
    deployment = load_deployment("local-basic")
    composed = compose_configuration(deployment.plan, deployment.plan.node("app-1"), deployment.settings)
    file, root = nodes.folder / ".haproxy.cfg.webitel-new", nodes.folder / "nodes.pem"
    command = composed.attributes["/etc/haproxy/haproxy.cfg"]["check"].replace("/etc/webitel/", f"{nodes.folder}/")

    def check(more: str = "") -> subprocess.CompletedProcess[str]:
        file.write_text(nodes.files["app-1"]["/etc/haproxy/haproxy.cfg"] + more)
        return subprocess.run(["sh", "-c", command.replace("{path}", str(file))], text=True, capture_output=True, check=False)

    assert command.split()[0] == "haproxy", "what the error calls its own program"
    for place in (root, root.with_name(".nodes.pem.webitel-new")):
        root = root.rename(place)
        assert check().returncode == 0
        wrong = check("\nfrontend x\n    nonsense 1\n")
        assert wrong.returncode and "unknown keyword 'nonsense'" in wrong.stderr


def test_a_certificate_is_the_databases_alone(nodes: Nodes) -> None:
    holders = [
        key for key, files in nodes.files.items() if nodes.secrets["database_certificate"].strip() in "\n".join(files.values())
    ]
    assert holders == ["data-1"]
    assert not any("nodes_authority" in text for files in nodes.files.values() for text in files.values())
