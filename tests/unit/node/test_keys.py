"""Who may log in by the first file of keys: the deployment alone. Operators' keys stand in a file of the configuration."""

import pwd
from pathlib import Path

import pytest

from cloud_init.node.apply import keys
from cloud_init.node.manifest import Login

OURS = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOurs"
FORMER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFormer former@office"
LOGIN: Login = {"user": "debian", "key": OURS}


def write(folder: Path, user: str, *lines: str) -> Path:
    path = folder / user / ".ssh" / "authorized_keys"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o600)
    return path


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three people's homes, one without any file."""
    monkeypatch.setattr(keys, "OPERATORS_FOLDER", tmp_path / "authorized_keys.d")
    monkeypatch.setattr(keys, "PRINCIPALS_FOLDER", tmp_path / "authorized_principals.d")
    monkeypatch.setattr(keys, "list_homes", lambda: {name: tmp_path / name for name in ("root", "debian", "guest", "nobody")})
    return tmp_path


def test_only_the_deployments_key_stays_everywhere(homes: Path) -> None:
    forced = f'no-pty,command="echo \'Please log in as \\"debian\\".\';sleep 10" {OURS} webitel'
    root = write(homes, "root", forced, f'command="echo no" {FORMER}')
    debian = write(homes, "debian", "# by hand", f"{OURS} webitel", "", FORMER, 'from="192.0.2.1" ecdsa-sha2-nistp256 AAAA x')
    guest = write(homes, "guest", FORMER)
    assert keys.find_strangers(LOGIN, ()) == {str(root): 1, str(debian): 2, str(guest): 1}
    keys.reduce(LOGIN, ())
    assert root.read_text() == f"{forced}\n"
    assert debian.read_text() == f"# by hand\n{OURS} webitel\n\n"
    assert guest.read_text() == ""
    assert debian.stat().st_mode & 0o777 == 0o600
    assert keys.find_strangers(LOGIN, ()) == {}
    assert [path.name for path in debian.parent.iterdir()] == ["authorized_keys"]


def test_a_key_in_the_comment_of_another_is_none(homes: Path) -> None:
    write(homes, "debian", f"{OURS} webitel", f"{FORMER} {OURS}", f'command="{OURS} x" {FORMER}')
    assert list(keys.find_strangers(LOGIN, ()).values()) == [2]


def test_the_deployment_is_never_locked_out(homes: Path) -> None:
    debian = write(homes, "debian", FORMER)
    keys.reduce(LOGIN, ())
    assert debian.read_text() == f"{OURS} webitel\n"
    write(homes, "root", FORMER)
    keys.reduce({"user": "root", "key": OURS}, ())
    assert (homes / "root/.ssh/authorized_keys").read_text() == f"{OURS} webitel\n"


def test_what_is_right_is_not_written_again(homes: Path) -> None:
    debian = write(homes, "debian", f"{OURS} webitel")
    before = debian.stat()
    keys.reduce(LOGIN, ())
    assert (debian.stat().st_ino, debian.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_link_is_not_followed(homes: Path) -> None:
    target = homes / "precious"
    target.write_text("words\n")
    (homes / "guest/.ssh").mkdir(parents=True)
    (homes / "guest/.ssh/authorized_keys").symlink_to(target)
    keys.reduce(LOGIN, ())
    assert target.read_text() == "words\n"
    assert not (homes / "guest/.ssh/authorized_keys").exists()


def test_another_file_of_operators_lets_nobody_in(homes: Path) -> None:
    folder = homes / "authorized_keys.d"
    folder.mkdir()
    operators, planted, link = (folder / name for name in ("debian", "root", "guest"))
    operators.write_text(f"{FORMER}\n")  # the configuration's own, which it writes and compares as a file
    planted.write_text(f"# by hand\n{FORMER}\n{FORMER}\n")
    link.symlink_to(operators)
    assert keys.find_strangers(LOGIN, [str(operators)]) == {str(planted): 2, str(link): 1}
    assert sorted(keys.reduce(LOGIN, [str(operators)])) == sorted(map(str, (planted, link)))
    assert list(folder.iterdir()) == [operators]
    assert operators.read_text() == f"{FORMER}\n"
    assert keys.find_strangers(LOGIN, [str(operators)]) == {}


def test_names_of_certificates_that_somebody_planted_let_nobody_in(homes: Path) -> None:
    folder = homes / "authorized_principals.d"
    folder.mkdir()
    operators, planted = folder / "debian", folder / "postgres"
    for path in (operators, planted):
        path.write_text("operators\n")
    assert keys.find_strangers(LOGIN, [str(operators)]) == {str(planted): 1}
    keys.reduce(LOGIN, [str(operators)])
    assert list(folder.iterdir()) == [operators]


def test_homes_of_this_machine() -> None:
    assert keys.list_homes()["root"] == Path("/root")


def test_a_packages_account_with_a_shell_is_one_to_log_in_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def account(name: str, uid: int, shell: str) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", uid, uid, "", str(tmp_path / name), shell))

    accounts = [
        account("root", 0, "/bin/bash"),
        account("postgres", 106, "/bin/bash"),
        account("old", 107, ""),  # that is /bin/sh: passwd(5)
        account("guest", 1000, "/bin/sh"),
        account("consul", 108, "/usr/sbin/nologin"),
        account("www", 33, "/bin/false"),
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: accounts)
    monkeypatch.setattr(keys, "OPERATORS_FOLDER", tmp_path / "authorized_keys.d")
    assert set(keys.list_homes()) == {"root", "postgres", "old", "guest"}
    planted = write(tmp_path, "postgres", FORMER)
    assert keys.find_strangers(LOGIN, ()) == {str(planted): 1}
    assert keys.reduce(LOGIN, ()) == [str(planted)]
    assert planted.read_text() == ""
