"""`doctor` offline: which credentials are here and what is missing, how a cloud's answers are judged."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.cloud import checks as cloud_checks
from cli.cloud.checks import Name, check_domain, judge
from cli.cloud.credentials import find_credentials
from cli.cloud.questions import Answers, gather, summarize
from components.clouds.registry import CLOUDS
from components.model.clouds.offers import Offers, Quota
from stacks.load import make_deployment
from tests.plans import load_stack

REAL = [name for name, cloud in CLOUDS.items() if cloud.real]


@pytest.mark.parametrize("cloud", REAL)
def test_without_credentials_the_variables_and_the_log_in_are_told(
    cloud: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for facts in CLOUDS.values():
        for name in [name for names in facts.credentials.variables for name in names]:
            monkeypatch.delenv(name, raising=False)
    sources = CLOUDS[cloud].credentials
    monkeypatch.setenv("HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["doctor", f"{cloud}-basic"])
    assert done.exit_code == 1
    text = " ".join(done.output.split())
    line = text.partition("credentials: ")[2]
    assert all(f"{name}=..." in line for name in sources.variables[0]) and sources.login in line
    assert f"none for {CLOUDS[cloud].title}" in text and "webitel:domain" in text
    assert CLOUDS[cloud].shared_state in text


def test_half_of_a_pair_is_not_enough(tmp_path: Path) -> None:
    found = find_credentials(CLOUDS["aws"], (), {"AWS_ACCESS_KEY_ID": "x"}, tmp_path)
    assert found.missing == {"credentials": "AWS_ACCESS_KEY_ID alone is not enough: export AWS_SECRET_ACCESS_KEY=..."}
    assert not find_credentials(CLOUDS["aws"], (), {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, tmp_path).missing
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").touch()
    assert find_credentials(CLOUDS["aws"], (), {}, tmp_path).names == ("~/.aws/credentials",)


def test_google_needs_a_project_and_the_stack_file_may_hold_a_token(tmp_path: Path) -> None:
    found = find_credentials(CLOUDS["gcp"], (), {"GOOGLE_CREDENTIALS": "x"}, tmp_path)
    assert list(found.missing) == ["project"] and "GOOGLE_PROJECT" in found.missing["project"]
    assert not find_credentials(CLOUDS["gcp"], ("project",), {"GOOGLE_CREDENTIALS": "x"}, tmp_path).missing
    assert find_credentials(CLOUDS["hetzner"], ("token",), {}, tmp_path).names == ("token in the stack file",)


def test_nothing_fits_and_nothing_elsewhere() -> None:
    plan = load_stack("aws-single").plan
    (check,) = judge(plan, Answers(offers=Offers("zone", "a", {"b": ["c7a.large"]})))
    assert check.state == "MISSING" and "us-east-1 zone a has no machine type that fits" in check.mend


def test_every_zone_needs_the_machine_types_of_its_own_nodes() -> None:
    settings = load_stack("aws-basic").settings.model_copy(update={"zones": ("a", "b"), "counts": {"app": 2}})
    plan = make_deployment(settings, "aws-basic").plan
    every = sorted({node.machine_type.name for node in plan.nodes})
    app = plan.node("app-2").machine_type.name
    offers = Offers("zone", "a", {"a": every, "b": [name for name in every if name != app], "c": every})
    first, second = judge(plan, Answers(offers=offers))
    assert first.state == "ok" and first.found.endswith("in us-east-1 zone a")
    assert second.state == "MISSING" and second.found.endswith(f"= {app}: not offered in us-east-1 zone b")
    assert "webitel:zones: in place of b, c has all of them" in second.mend
    assert [check.state for check in judge(plan, Answers(offers=Offers("zone", "a", {"a": every, "b": [app]})))] == ["ok", "ok"]


def test_a_quota_that_is_just_enough_and_answers_that_are_missing() -> None:
    plan = load_stack("aws-single").plan
    answers = Answers(quotas=[Quota("vCPU", 8, 4, "ask", 4), Quota("vCPU", 8, 5, "ask", 4)], errors={"offers": "AccessDenied"})
    checks = list(judge(plan, answers))
    assert [check.state for check in checks] == ["ok", "MISSING", "note"]
    assert checks[1].found == "vCPU: 8, 4 used, 5 needed" and checks[2].mend == "AccessDenied"


def test_the_engines_errors_are_found_in_what_it_prints() -> None:
    said = (
        "Diagnostics:\n  pulumi:providers:aws (aws):\n    error: unable to validate AWS credentials.\n"
        "      Details: no EC2 IMDS role found\n  pulumi:pulumi:Stack (q-s):\n    error: preview failed\n"
    )
    assert summarize(said) == "unable to validate AWS credentials. Details: no EC2 IMDS role found; preview failed"


def test_a_name_server_that_never_answers_is_not_waited_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time counts from when it was asked, as the cloud's does, and not from when the cloud has answered."""
    over = threading.Event()
    monkeypatch.setattr(cloud_checks, "NAME_SECONDS", 1.0)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list[object]() if over.wait(60) else None)
    name = Name("voice.your-company.com")
    time.sleep(1.0)
    began = time.monotonic()
    check = check_domain(name)
    assert time.monotonic() - began < 0.8
    assert "no name server answered" in check.found and check.state == "note"
    over.set()


def test_a_program_that_ended_before_the_accounts_answer_has_no_good_credentials() -> None:
    answers = gather('{"what": "offers", "error": "InvalidClientTokenId"}\n', "", "preview failed")
    assert answers.errors["account"] == "preview failed; InvalidClientTokenId"
    assert gather("", "no answer within 25 s", "").errors == {"account": "no answer within 25 s"}
    assert gather("", "", "").errors == {"account": "the engine ended without an answer"}
    assert not gather('{"what": "account", "answer": "account 1"}\n{"what": "end"}\n', "", "noise").errors
