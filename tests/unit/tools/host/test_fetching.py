"""Steps that fetch, with commands that fail as apt, pip and Go do."""

import re
import subprocess

import pytest

from tools.host import fetching
from tools.host.fetching import SetupError, explain, fetch, find_hosts, list_hosts


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


def answer(*statuses: int, said: str = "") -> list[subprocess.CompletedProcess[str]]:
    return [subprocess.CompletedProcess((), status, stdout="fetched", stderr=said) for status in statuses]


def test_a_step_is_tried_again(pauses: list[float]) -> None:
    answers = answer(1, 1, 0)
    lines: list[str] = []
    assert fetch("reading lists", lambda: answers.pop(0), lines.append) == "fetched"
    assert lines == ["reading lists failed, next try in 3 s", "reading lists failed, next try in 10 s"]
    assert pauses == [3, 10]


def test_what_fails_for_good_names_step_host_and_way_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in fetching._PROXIES:
        monkeypatch.delenv(name, raising=False)
    answers = answer(1, 1, 1, said="E: Failed to fetch http://me:secret@mirror.example/debian/x.deb  Connection refused")
    with pytest.raises(SetupError) as caught:
        fetch("installing go", lambda: answers.pop(0), lambda line: None)
    assert str(caught.value) == (
        "installing go failed 3 times. It asks mirror.example.\n"
        "  E: Failed to fetch http://mirror.example/debian/x.deb  Connection refused\n"
        "Next: let this machine reach mirror.example (mirror, proxy, firewall, DNS), then run the same command again: it resumes."
    )


def test_words_without_a_host_take_the_configured_ones() -> None:
    with pytest.raises(SetupError, match=r"It asks index\.example"):
        fetch(
            "installing",
            lambda: answer(1, said="ERROR: No matching distribution found")[0],
            lambda line: None,
            configured=lambda: ["index.example"],
        )


def test_what_no_retry_mends_is_told_at_once(pauses: list[float]) -> None:
    with pytest.raises(SetupError, match="installing failed:\n  E: Unable to locate package nope"):
        fetch(
            "installing",
            lambda: answer(100, said="E: Unable to locate package nope")[0],
            lambda line: None,
            hopeless=re.compile("Unable to locate"),
        )
    assert pauses == []


@pytest.mark.parametrize(
    ("said", "hosts"),
    [
        (
            "Err:1 http://deb.example/debian bookworm InRelease\n  Could not connect to deb.example:80 (127.0.0.1)",
            ["deb.example"],
        ),
        ("Temporary failure resolving 'deb.example'", ["deb.example"]),
        ("HTTPSConnectionPool(host='index.example', port=443): Max retries exceeded", ["index.example"]),
        (
            'Get "https://proxy.example/x/@v/list": dial tcp: lookup proxy.example on 127.0.0.53:53: no such host',
            ["proxy.example"],
        ),
        ("dial tcp: lookup sums.example: i/o timeout", ["sums.example"]),
        ("No space left on device", []),
    ],
)
def test_hosts_are_found_in_what_programs_say(said: str, hosts: list[str]) -> None:
    assert find_hosts(said) == hosts


def test_hosts_of_addresses_have_no_password() -> None:
    assert list_hosts(["https://me:secret@index.example:8443/simple", "direct", "", "http://a.example"]) == [
        "index.example",
        "a.example",
    ]


def test_the_proxy_is_named_without_its_password() -> None:
    said = explain("reading", "timed out", ["a.example"], {"https_proxy": "http://me:secret@proxy.example:3128"})
    assert "a.example (by the proxy http://proxy.example:3128, from https_proxy)" in said
    assert "secret" not in said
