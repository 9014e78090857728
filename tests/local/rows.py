"""Rows that a node's database takes all the time, and which of them it has acknowledged."""

import itertools

from tests.local.deployment import Deployment

UNIT, SCRIPT, LOG = "webitel-test-rows", "/var/lib/webitel-test-rows.py", "/var/lib/webitel-test-rows"
PROGRAM = f"""
import subprocess, time
psql = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", "webitel"]
number = 0
with open("{LOG}", "a", buffering=1) as acknowledged:
    while True:
        one = subprocess.Popen(psql, stdin=-1, stdout=-1, stderr=-3, text=True, cwd="/")
        try:
            while True:
                number += 1
                one.stdin.write(f"insert into kept_rows values ({{number}}) returning number;\\n")
                one.stdin.flush()
                if one.stdout.readline().strip() != str(number):
                    break
                acknowledged.write(f"{{number}} {{time.time()}}\\n")
                time.sleep(0.02)
        except OSError:
            pass
        one.kill()
        one.wait()
        time.sleep(0.1)
"""


def sql(node: Deployment, text: str) -> str:
    """What the database says, asked as its superuser."""
    return node.on_node("cd / && runuser -u postgres -- psql -XAtq -d webitel", text=text)


def start_rows(node: Deployment) -> None:
    """Begin to write, until `stop_rows` or a restart of the node."""
    sql(node, "create table if not exists kept_rows (number bigint primary key)")
    node.on_node(f"cat >{SCRIPT}", text=PROGRAM)
    node.on_node(f"systemd-run -q --unit {UNIT} python3 {SCRIPT}")


def stop_rows(node: Deployment) -> None:
    """Write no more."""
    node.on_node(f"systemctl stop {UNIT}")


def find_acknowledged(node: Deployment) -> dict[int, float]:
    """When each row was acknowledged."""
    lines = (line.split() for line in node.on_node(f"cat {LOG}").splitlines())
    return {int(number): float(at) for number, at in lines}


def find_rows(node: Deployment) -> set[int]:
    """The rows that are there."""
    return {int(number) for number in sql(node, "select number from kept_rows").split()}


def find_gap(acknowledged: dict[int, float]) -> float:
    """The longest time without a row."""
    times = sorted(acknowledged.values())
    return max(after - before for before, after in itertools.pairwise(times))
