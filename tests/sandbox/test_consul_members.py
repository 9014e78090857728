"""Who may speak with a Consul server: whoever has the deployment's certificate and nobody else."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.model.secret_specs import SECRETS
from provider.certificates import make_member
from tests.sandbox.consul_program import find_consul
from tests.sandbox.platform import fetch
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).resolve().parents[2]
HTTP = 18500
KEYS = ("ca_file", "cert_file", "key_file", "verify_incoming_rpc", "verify_outgoing", "verify_server_hostname")


@contextmanager
def run_agent(folder: Path, number: int, certificate: str) -> Iterator[None]:
    """An agent at 127.0.0.<number> with what our template says of TLS; the first one is the server."""
    folder /= str(number)
    folder.mkdir()
    (folder / "webitel.pem").write_text(certificate)
    template = (ROOT / "cloud_init/files/consul/webitel.json").read_text()
    ours = {key: json.loads(value) for key, value in re.findall(r'"(\w+)": ("[^"]*"|true|false),', template) if key in KEYS}
    assert set(ours) == set(KEYS)
    address = f"127.0.0.{number}"
    (folder / "agent.json").write_text(
        json.dumps(
            {
                **{key: str(folder / "webitel.pem") if key.endswith("_file") else value for key, value in ours.items()},
                "node_name": f"node{number}",
                "datacenter": "webitel",
                "bind_addr": address,
                "client_addr": address,
                "server": number == 2,
                **({"bootstrap_expect": 1} if number == 2 else {}),
                "retry_join": ["127.0.0.2"],
                "retry_interval": "1s",
                "ports": {"http": HTTP, "serf_wan": -1, "grpc": -1, "dns": -1},
                "performance": {"raft_multiplier": 1},
                "data_dir": str(folder / "data"),
                "disable_update_check": True,
            }
        )
    )
    with (folder / "log").open("w") as log:
        command = [str(find_consul()), "agent", "-config-file", str(folder / "agent.json")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def read_leader(number: int) -> str:
    return fetch(f"http://127.0.0.{number}:{HTTP}/v1/status/leader")[1]


def test_only_members_are_answered(tmp_path: Path) -> None:
    host = SECRETS["consul_certificate"].host
    member, stranger = make_member(host), make_member(host)
    with run_agent(tmp_path, 2, member), run_agent(tmp_path, 3, member), run_agent(tmp_path, 4, stranger):
        wait_until(lambda: ":8300" in read_leader(3), 60, "a member")
        wait_until(lambda: "unknown authority" in read_leader(4), 30, "a stranger's refusal")
