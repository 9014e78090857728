"""The entry that a stand-in keeps in Consul."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sandbox.standin.consul import Entry
from sandbox.standin.words import Registration

PASSES_SECONDS = 0.02


class Agent:
    """Answers as Consul's agent does for one entry: what renews an entry that it does not know is refused."""

    def __init__(self) -> None:
        self.known = False
        self.asked: list[str] = []
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                agent.asked.append(self.path)
                if "/service/" in self.path:
                    agent.known = "/register" in self.path
                self.send_response(200 if agent.known or "/service/" in self.path else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def agent() -> Iterator[Agent]:
    """A running one."""
    made = Agent()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


@pytest.fixture
def entry(agent: Agent) -> Iterator[Entry]:
    """An entry that is renewed fifty times a second, until the test ends: a thread that prints while pytest changes what is
    printed to has ended Python (3.11.7, a segmentation fault)."""
    registration = Registration("call_center", "call_center-101", "grpc", 30.0, PASSES_SECONDS, 60, (), "call_center-101")
    made = Entry(f"127.0.0.1:{agent.server.server_port}", registration, "call_center-101", "10.0.0.1", 10030, 1.0, print)
    made.register()
    made.start()
    yield made
    made.ended.set()


def wait_for(agent: Agent, count: int) -> None:
    """Wait until the agent was asked so often."""
    until = time.monotonic() + 10
    while len(agent.asked) < count:
        assert time.monotonic() < until, agent.asked
        time.sleep(PASSES_SECONDS)


def test_what_consul_lost_is_made_anew(agent: Agent, entry: Entry) -> None:
    agent.known = False
    wait_for(agent, 8)
    assert agent.known


def test_what_was_taken_away_stays_away_though_its_program_takes_seconds_to_end(agent: Agent, entry: Entry) -> None:
    wait_for(agent, 4)
    entry.deregister()
    asked = len(agent.asked)
    time.sleep(10 * PASSES_SECONDS)
    assert len(agent.asked) == asked and not agent.known
