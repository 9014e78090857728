"""The rounds in which a running deployment's PostgreSQL comes under TLS, on one node."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from cloud_init.node import owed, turns
from cloud_init.node.clusters import access, access_lists, encryption
from cloud_init.node.manifest import FileEntry, Manifest
from tests.plans import compose_configuration, load_stack
from tests.unit.node.entries import PORTS, manifest

MEMBER_TEXT = (
    "authentication: {sslmode: verify-ca, channel_binding: require}\npg_hba:\n- local all all peer\n- hostssl all all ::/0 md5\n"
)
CLIENT_FILE, CLIENT_TEXT = (
    "/etc/webitel/storage.env",
    f"DATA_SOURCE=postgres://x?sslmode=verify-full&sslrootcert={encryption.ROOT}&a=b\n",
)
ATTRIBUTES: dict[str, FileEntry] = {
    str(path): {"mode": "0600", "owner": "root:root", "actions": ["restart storage"]}
    for path in (encryption.DATABASE_FILE, CLIENT_FILE)
}


@contextmanager
def member(says: bytes) -> Iterator[int]:
    """A PostgreSQL that answers once to whoever asks for TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(8) == encryption.SSL_REQUEST
                connection.sendall(says)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def node(port: int, *others: str) -> Manifest:
    members = [{"name": key, "key": key, "address": "127.0.0.1"} for key in ("db-1", *others)]
    return manifest(
        node="stack-db-1",
        key="db-1",
        address="127.0.0.1",
        ports={**PORTS, "postgresql_sql": port},
        clusters={"postgresql": members},
    )


class Consul:
    """Its keys, and who is a node."""

    def __init__(self, *nodes: str) -> None:
        self.nodes, self.keys = set(nodes), dict[str, str]()

    def call(self, method: str, path: str, body: str = "") -> None:
        assert method == "PUT"
        self.keys[path.removeprefix("/v1/kv/")] = body

    def list_keys(self, prefix: str) -> dict[str, dict[str, str]]:
        return {name.removeprefix(prefix): {"Value": text} for name, text in self.keys.items() if name.startswith(prefix)}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ROOT", "DATABASE_FILE", "WAITING"):
        monkeypatch.setattr(encryption, name, tmp_path / name)
    (tmp_path / "ROOT").touch()
    return tmp_path


@pytest.fixture
def consul(monkeypatch: pytest.MonkeyPatch) -> Consul:
    made = Consul("stack-db-1", "stack-app-1")
    monkeypatch.setattr(encryption, "call", made.call)
    monkeypatch.setattr(encryption, "list_keys", made.list_keys)
    monkeypatch.setattr(encryption, "find_key", lambda key: {"holder": made.keys.get(key, "")})
    monkeypatch.setattr(access_lists, "list_nodes", lambda: made.nodes)
    monkeypatch.setattr(encryption._turn, "hold", lambda key, holder: True)
    monkeypatch.setattr(encryption._turn, "end", lambda: None)
    monkeypatch.setattr(access, "is_being_configured", lambda: False)
    monkeypatch.setattr(encryption, "load_state", lambda: {"pending": []})
    monkeypatch.setattr(encryption, "SETTLE_SECONDS", 0)
    return made


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    made: list[tuple[str, ...]] = []

    def systemctl(*words: str) -> CompletedProcess[str]:
        made.append(words)
        return CompletedProcess([], 0, "", "")

    monkeypatch.setattr(encryption, "systemctl", systemctl)
    return made


def relax(port: int, *others: str) -> dict[str, str]:
    texts = {str(encryption.DATABASE_FILE): MEMBER_TEXT, CLIENT_FILE: CLIENT_TEXT}
    attributes = dict.fromkeys(texts, ATTRIBUTES[CLIENT_FILE])
    return encryption.relax(node(port, *others), texts, attributes, lambda text, where: text)


def test_a_new_node_is_closed_from_its_first_moment(files: Path) -> None:
    assert relax(1) == {str(encryption.DATABASE_FILE): MEMBER_TEXT, CLIENT_FILE: CLIENT_TEXT}
    assert encryption.list_environment()["PGSSLMODE"] == "verify-full"


def test_a_running_member_offers_first_and_its_only_clients_ask_at_once(files: Path) -> None:
    encryption.DATABASE_FILE.write_text("pg_hba:\n- host all all ::/0 md5\n")
    relaxed = relax(1)
    assert "- host all" in relaxed[str(encryption.DATABASE_FILE)] and "sslmode: prefer" in relaxed[str(encryption.DATABASE_FILE)]
    assert relaxed[CLIENT_FILE] == CLIENT_TEXT
    encryption.DATABASE_FILE.write_text(MEMBER_TEXT)
    assert relax(1)[str(encryption.DATABASE_FILE)] == MEMBER_TEXT, "a closed one is never opened again"


def test_clients_beside_the_first_member_wait_for_the_others(
    files: Path, consul: Consul, done: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with member(b"N") as port:
        relaxed = relax(port, "db-2")
    assert "sslmode=disable&a=b" in relaxed[CLIENT_FILE]
    assert encryption.list_environment() == {}, "the node program itself asks as they do"
    client = files / "storage.env"
    client.write_text(relaxed[CLIENT_FILE])
    client.chmod(0o640)
    encryption.WAITING.write_text(json.dumps({str(client): ["restart storage"]}))
    with member(b"N") as port:
        encryption.look(node(port, "db-2"))
    assert (done, consul.keys) == ([], {})
    with member(b"S") as port:
        encryption.look(node(port, "db-2"))
    assert client.read_text() == CLIENT_TEXT and client.stat().st_mode & 0o777 == 0o640
    assert done == [("try-restart", "storage")]
    assert consul.keys == {"webitel/encryption/stack-db-1": "asks"}


def test_members_refuse_once_every_node_asks(files: Path, consul: Consul, done: list[tuple[str, ...]]) -> None:
    encryption.DATABASE_FILE.write_text(encryption.replace(MEMBER_TEXT, encryption.MEMBER))
    encryption.look(node(1))
    assert not encryption.is_closed() and not done
    row = encryption.report(node(1))
    assert row and row["why"] == "PostgreSQL still lets in clients without TLS; waiting for stack-app-1"
    consul.keys["webitel/encryption/stack-app-1"] = "asks"
    encryption.look(node(1))
    assert encryption.DATABASE_FILE.read_text() == MEMBER_TEXT
    assert done == [("try-reload-or-restart", "patroni")]
    assert encryption.report(node(1)) is None


def test_who_does_not_answer_decides_nothing(files: Path, consul: Consul, done: list[tuple[str, ...]], tmp_path: Path) -> None:
    """A member that is down may come back without TLS, and lead."""
    client = tmp_path / "storage.env"
    attributes: dict[str, FileEntry] = {str(client): {"mode": "0600", "owner": "root:root", "actions": ["restart storage"]}}

    def relax() -> str:
        return encryption.relax(node(1, "db-2"), {str(client): CLIENT_TEXT}, attributes, lambda text, where: text)[str(client)]

    assert relax() == CLIENT_TEXT, "a new node has nothing to go on with"
    client.write_text(encryption.replace(CLIENT_TEXT, encryption.CLIENT))
    assert "sslmode=disable" in relax() and encryption.WAITING.exists()
    encryption.look(node(1, "db-2"))
    assert "sslmode=disable" in client.read_text() and not done and not consul.keys
    row = encryption.report(node(1, "db-2"))
    assert row and row["why"].endswith("without TLS; waiting for db-2 (does not answer)")
    with member(b"S") as port:
        encryption.look(node(port, "db-2"))
    assert client.read_text() == CLIENT_TEXT and done == [("try-restart", "storage")]
    assert relax() == CLIENT_TEXT, "what asks already goes on asking"
    encryption.DATABASE_FILE.write_text(encryption.replace(MEMBER_TEXT, encryption.MEMBER))
    consul.keys["webitel/encryption/stack-app-1"] = "asks"
    encryption.look(node(1, "db-2"))
    assert not encryption.is_closed()
    row = encryption.report(node(1, "db-2"))
    assert row and row["why"].endswith("waiting for db-2 (does not answer)")


@pytest.mark.parametrize("up_first", [False, True])
def test_a_program_that_was_not_told_of_its_file_is_told_later(
    files: Path, consul: Consul, done: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, up_first: bool
) -> None:
    """Killed, or cut from its power, between the file and the reload."""
    client = files / "storage.env"
    client.write_text(encryption.replace(CLIENT_TEXT, encryption.CLIENT))
    encryption.WAITING.write_text(json.dumps({str(client): ["restart storage"]}))
    encryption.DATABASE_FILE.write_text(encryption.replace(MEMBER_TEXT, encryption.MEMBER))
    consul.keys["webitel/encryption/stack-app-1"] = "asks"

    def die(*_: str) -> None:
        raise SystemExit

    with monkeypatch.context() as killed:
        killed.setattr(encryption, "systemctl", die)
        with pytest.raises(SystemExit):
            encryption.look(node(1))
    assert client.read_text() == CLIENT_TEXT
    if up_first:
        relax(1)
        assert owed.list_owed() == ["restart storage"], "the files are what they should be, and say nothing of it"
    encryption.look(node(1))
    assert done == [("try-restart", "storage"), ("try-reload-or-restart", "patroni")]
    encryption.DATABASE_FILE.write_text(encryption.replace(MEMBER_TEXT, encryption.MEMBER))
    with monkeypatch.context() as killed:
        killed.setattr(encryption, "systemctl", die)
        with pytest.raises(SystemExit):
            encryption.look(node(1))
    assert encryption.is_closed()
    encryption.look(node(1))
    assert done[2:] == [("try-reload-or-restart", "patroni")] and owed.list_owed() == []


def test_a_start_of_the_machine_pays_what_was_owed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    boot = tmp_path / "boot"
    monkeypatch.setattr(owed, "BOOT", boot)
    boot.write_text("one")
    owed.owe(["restart storage"])
    boot.write_text("two")
    assert owed.list_owed() == []


def test_what_another_process_wrote_meanwhile_stays(
    files: Path, consul: Consul, done: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consul's token for Patroni comes into the same file, and `webitel` begins whenever it likes."""
    client = files / "storage.env"

    @contextmanager
    def held(lock: Path) -> Iterator[None]:
        for path in (client, encryption.DATABASE_FILE):
            path.write_text(path.read_text().replace("before", "after"))
        yield

    client.write_text("PASSWORD=before\n" + encryption.replace(CLIENT_TEXT, encryption.CLIENT))
    encryption.WAITING.write_text(json.dumps({str(client): ["restart storage"]}))
    encryption.DATABASE_FILE.write_text("token: before\n" + encryption.replace(MEMBER_TEXT, encryption.MEMBER))
    consul.keys["webitel/encryption/stack-app-1"] = "asks"
    monkeypatch.setattr(turns, "held", held)
    encryption.look(node(1))
    assert client.read_text() == "PASSWORD=after\n" + CLIENT_TEXT
    assert encryption.DATABASE_FILE.read_text() == "token: after\n" + MEMBER_TEXT


def test_nothing_is_noted_before_a_changed_client_was_restarted(
    files: Path, consul: Consul, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encryption, "load_state", lambda: {"pending": ["restart engine"]})
    encryption.look(node(1))
    assert consul.keys == {}


@pytest.mark.parametrize("stack", ["local-single", "local-basic", "local-extended"])
def test_the_rounds_know_every_file_that_speaks_of_tls_to_the_database(stack: str) -> None:
    """And what they do to a file can be taken back to the letter."""
    deployment = load_stack(stack)
    for one in deployment.plan.nodes:
        for path, text in compose_configuration(deployment.plan, one, deployment.settings).files.items():
            if path == str(encryption.DATABASE_FILE):
                plain = encryption.replace(text, encryption.MEMBER)
                assert not re.search("hostssl|verify-ca|channel_binding: require", plain)
                assert encryption.replace(plain, encryption.MEMBER, back=True) == text
                continue
            plain = encryption.replace(text, encryption.CLIENT)
            # Programs that read an environment take libpq's default until they are started anew.
            assert "verify-full" not in re.sub("PGSSLMODE=verify-full", "", plain), f"{one.key}: {path}"
            assert encryption.replace(plain, encryption.CLIENT, back=True) == text, f"{one.key}: {path}"
            assert not re.search("sslmode[=:] ?(disable|prefer|allow)|ssl_mode = disable", text), f"{one.key}: {path}"
            assert encryption.blank(plain.encode()) == encryption.blank(text.encode())


def test_haproxy_asks_brokers_for_tls_once_all_of_them_offer_it(
    files: Path, consul: Consul, done: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = load_stack("local-basic")
    composed = compose_configuration(deployment.plan, deployment.plan.node("app-1"), deployment.settings)
    proxy = files / "haproxy.cfg"
    monkeypatch.setattr(encryption, "PROXY_FILE", proxy)
    strict = composed.files["/etc/haproxy/haproxy.cfg"]
    listening = {("10.0.0.2", 5672)}
    monkeypatch.setattr(encryption, "answers", lambda address, port: (address, port) in listening)

    def relax() -> str:
        attributes = {str(proxy): composed.attributes["/etc/haproxy/haproxy.cfg"]}
        fill = {"{{address:data-1}}": "10.0.0.2"}
        return encryption.relax(
            node(1), {str(proxy): strict}, attributes, lambda text, where: text.replace(*next(iter(fill.items())))
        )[str(proxy)]

    assert relax() == strict, "a new node has nobody to wait for"
    proxy.write_text("listen amqp\n")
    relaxed = relax()
    assert re.findall(r"server data-1 \S+:(\d+)(.*)", relaxed)[-2:] == [("5672", " # in the clear"), ("15672", " # in the clear")]
    proxy.write_text(relaxed.replace("{{address:data-1}}", "10.0.0.2"))
    encryption.look(node(1))
    assert not done and not consul.keys
    listening.add(("10.0.0.2", 5671))
    encryption.look(node(1))
    assert proxy.read_text() == strict.replace("{{address:data-1}}", "10.0.0.2")
    assert done == [("try-reload-or-restart", "haproxy")]
    assert relax() == strict
