"""Grafana's stand-in keeps what is its own in PostgreSQL, so that any node may run it."""

import subprocess
from pathlib import Path

import pytest

from tests.sandbox.platform import PYTHON, ROOT, Platform
from tests.sandbox.runner import Runner, node_files

pytestmark = pytest.mark.sandbox

ASK = """
import sys
from sandbox.standin.grafana import Grafana
grafana = Grafana(["--config=" + sys.argv[1], "--paths.provisioning=" + sys.argv[2], "--paths.data=/nowhere"])
for line in sys.stdin:
    print(grafana.answer("GET", line.strip(), {}, b"")[0], flush=True)
"""


def ask(folder: Path, *paths: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-c", ASK, str(folder / "grafana.ini"), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        input="\n".join(paths),
        check=False,
    )


def test_it_needs_its_own_database(runner: Runner, platform: Platform, tmp_path: Path) -> None:
    text = platform.lead_to_database(node_files()["/etc/grafana/grafana.ini"])
    (tmp_path / "grafana.ini").write_text(text)
    refused = ask(tmp_path, "/api/health")
    assert refused.returncode != 0 and "grafana_store" in refused.stderr
    password = next(line.partition(" = ")[2] for line in text.split("[database]")[1].splitlines() if line.startswith("password"))
    platform.sql(f"create role grafana_store login password '{password}'", "postgres")
    platform.sql("create database grafana owner grafana_store", "postgres")
    assert ask(tmp_path, "/api/health").stdout.split() == ["200"]
    assert platform.sql("select tableowner from pg_tables where tablename = 'sandbox'", "grafana") == "grafana_store"
    platform.stop("postgresql")
    assert ask(tmp_path, "/api/health").returncode != 0


EARLIER = r"""
select 'create role grafana login' where not exists (select from pg_roles where rolname = 'grafana') \gexec
grant pg_read_all_data to grafana;
"""
"""The role as it was first made."""
SETTINGS_OF_OTHERS = """
create table call_center.cc_email_profile (id int, name text, password text, token jsonb, params jsonb);
create view call_center.cc_email_profile_list as
  select id, name, password as login_passwd, params from call_center.cc_email_profile;
create schema somewhere; create table somewhere.log (id int, api_key text); create table somewhere.other (id int);
"""
LENT = """
create function call_center.find_digest(name text, "Second" int default 1) returns text
  language sql security definer as 'select max(digest_ha1) from public.sip_subscriber';
create procedure call_center.forget() language sql security definer as 'delete from public.sip_subscriber';
create schema elsewhere; grant usage on schema elsewhere to public;
create function elsewhere."Find Digest"() returns text
  language sql security definer as 'select max(digest_ha1) from public.sip_subscriber';
create function call_center.add(a int, b int) returns int language sql as 'select a + b';
create function call_center.read_digest() returns text language sql as 'select max(digest_ha1) from public.sip_subscriber';
"""
LENT_CALLS = ("select call_center.find_digest('a')", "call call_center.forget()", 'select elsewhere."Find Digest"()')


def may(platform: Platform, role: str, what: str) -> bool:
    """Whether a role may do that."""
    try:
        platform.sql(f"set role {role}; {what}")
    except AssertionError:
        return False
    return True


def settle_roles(platform: Platform, **settings: object) -> None:
    """What `up` runs on the leader."""
    for name in ("roles.sql", "grafana.sql"):
        platform.sql(node_files(**settings)[f"/etc/webitel/{name}"])


def test_no_function_reads_for_grafanas_role_with_its_owners_rights(runner: Runner, platform: Platform) -> None:
    platform.start("postgresql")
    platform.sql(EARLIER)
    platform.sql(LENT)
    settle_roles(platform, grafana_reads=("call_center",))
    for call in LENT_CALLS:
        for role in ("grafana", "grafana_store"):
            assert not may(platform, role, f"begin; {call}; rollback"), (role, call)
    assert may(platform, "grafana", "select call_center.add(1, 2)")
    assert not may(platform, "grafana", "select call_center.read_digest()"), "with its own rights"
    platform.sql("grant usage on schema call_center, elsewhere to opensips")
    for _ in range(2):
        for call in LENT_CALLS:
            assert may(platform, "opensips", f"begin; {call}; rollback"), call
        settle_roles(platform)


def test_grafanas_role_reads_reports_and_no_credentials(runner: Runner, platform: Platform, tmp_path: Path) -> None:
    def read(what: str) -> bool:
        return may(platform, "grafana", what)

    def settle(**settings: object) -> None:
        settle_roles(platform, **settings)

    platform.start("postgresql")
    platform.sql(EARLIER)
    platform.sql(SETTINGS_OF_OTHERS)
    secret = "select digest_ha1 from sip_subscriber"
    assert read(secret), "as it was"
    settle()
    assert not read(secret)
    assert read("select count(*), max(created_at) from call_center.cc_calls_history")
    assert read("select id, name from call_center.cc_email_profile")
    for column in ("password", "token", "params", "*"):
        assert not read(f"select {column} from call_center.cc_email_profile"), column
    for column in ("login_passwd", "params"):
        assert not read(f"select {column} from call_center.cc_email_profile_list"), column
    assert not read("select id from somewhere.other")
    settle(grafana_reads=("call_center", "somewhere.log"))
    assert read("select id from somewhere.log")
    assert not read("select api_key from somewhere.log")
    assert not read("select id from somewhere.other")
    settle(grafana_reads=("somewhere.other",))
    assert not read("select id from somewhere.log")
    assert not read("select count(*) from call_center.cc_calls_history")
    assert read("select id from somewhere.other")
