import json
import stat
from pathlib import Path

import pytest

from tools.engine.environment import run_environment
from tools.engine.get import EngineError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"PATH": "/bin", "XDG_DATA_HOME": str(tmp_path / "da ta"), "PULUMI_HOME": str(tmp_path / "pulumi")}


def test_who_has_nothing_gets_state_and_passphrase_once(environ: dict[str, str], tmp_path: Path) -> None:
    made = run_environment(environ)
    passphrase = Path(made["PULUMI_CONFIG_PASSPHRASE_FILE"])
    assert made["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/da%20ta/webitel/state?metadata=skip"
    assert made["PULUMI_SKIP_UPDATE_CHECK"] == "1"
    assert made["PULUMI_HOME"] == environ["PULUMI_HOME"]
    assert made["PATH"] == "/bin"
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    assert len(passphrase.read_text().strip()) >= 40
    before = passphrase.read_text()
    assert run_environment(environ) == made
    assert passphrase.read_text() == before
    assert sorted(file.name for file in passphrase.parent.iterdir()) == ["passphrase", "state"]


@pytest.mark.parametrize(
    "own", [{"PULUMI_BACKEND_URL": "s3://bucket"}, {"PULUMI_ACCESS_TOKEN": "pul-1"}, {"PULUMI_BACKEND_URL": "file://~"}]
)
def test_own_backend_is_left_alone(environ: dict[str, str], own: dict[str, str], tmp_path: Path) -> None:
    assert run_environment({**environ, **own}) == {**environ, **own, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    assert not (tmp_path / "da ta").exists()


@pytest.mark.parametrize(("current", "is_own"), [("https://api.pulumi.com", True), ("", False)])
def test_login_counts_as_own_backend(environ: dict[str, str], current: str, is_own: bool) -> None:
    credentials = Path(environ["PULUMI_HOME"]) / "credentials.json"
    credentials.parent.mkdir()
    credentials.write_text(json.dumps({"current": current}))
    assert ("PULUMI_BACKEND_URL" not in run_environment(environ)) is is_own


@pytest.mark.parametrize("way", ["variable", "login"])
@pytest.mark.parametrize("address", ["file://state", "file://./state", "file://state?metadata=skip"])
def test_a_relative_folder_is_that_of_the_user(
    environ: dict[str, str], way: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine runs in a folder that is removed after each run, and the state with it."""
    monkeypatch.chdir(tmp_path)
    if way == "variable":
        environ = {**environ, "PULUMI_BACKEND_URL": address}
    else:
        log_in(environ, json.dumps({"current": address}))
    wanted = f"file://{tmp_path}/state" + address.partition("state")[2]
    assert run_environment(environ)["PULUMI_BACKEND_URL"] == wanted


def log_in(environ: dict[str, str], text: str) -> Path:
    """Write what `pulumi login` writes."""
    credentials = Path(environ["PULUMI_HOME"]) / "credentials.json"
    credentials.parent.mkdir()
    credentials.write_text(text)
    return credentials


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_login_is_told(environ: dict[str, str], text: str) -> None:
    log_in(environ, text)
    with pytest.raises(EngineError, match=r"credentials.json is damaged; log in again"):
        run_environment(environ)


@pytest.mark.parametrize("name", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_own_passphrase_is_left_alone(environ: dict[str, str], name: str) -> None:
    made = run_environment({**environ, name: "own"})
    assert {key: value for key, value in made.items() if "PASSPHRASE" in key} == {name: "own"}
    assert "PULUMI_BACKEND_URL" in made


def test_who_names_our_state_folder_gets_our_passphrase(environ: dict[str, str]) -> None:
    made = run_environment(environ)
    assert run_environment({**environ, "PULUMI_BACKEND_URL": made["PULUMI_BACKEND_URL"]}) == made


def test_lost_passphrase_is_told_not_replaced(environ: dict[str, str]) -> None:
    made = run_environment(environ)
    home = Path(made["PULUMI_CONFIG_PASSPHRASE_FILE"]).parent
    stack = home / "state/.pulumi/stacks/webitel/local-single.json"
    stack.parent.mkdir(parents=True)
    stack.write_text("{}")
    (home / "passphrase").unlink()
    with pytest.raises(EngineError, match="passphrase is gone, but stacks in"):
        run_environment(environ)


@pytest.mark.parametrize(
    ("own", "spared"),
    [
        ({"https_proxy": "http://proxy.example:3128"}, "localhost,127.0.0.1,::1"),
        ({"HTTP_PROXY": "http://proxy.example:3128", "NO_PROXY": "a.example, 127.0.0.1"}, "a.example,127.0.0.1,localhost,::1"),
        ({"http_proxy": "x", "no_proxy": "a.example", "NO_PROXY": "b.example"}, "a.example,b.example,localhost,127.0.0.1,::1"),
    ],
)
def test_a_proxy_is_kept_out_of_the_loopback(environ: dict[str, str], own: dict[str, str], spared: str) -> None:
    """Without it the engine cannot reach its own plugins: "Resource monitor has terminated"."""
    made = run_environment({**environ, **own})
    assert (made["no_proxy"], made["NO_PROXY"]) == (spared, spared)


def test_without_a_proxy_nothing_is_added(environ: dict[str, str]) -> None:
    assert not {"no_proxy", "NO_PROXY"} & run_environment(environ).keys()
