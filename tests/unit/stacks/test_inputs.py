"""Stack files as people really write them: read as the engine reads them, or refused with the line and what to write.

What the engine makes of each text was seen with its own `pulumi config --json`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.model.problems import PlanError
from stacks import settings as stack_settings
from stacks.document import MAX_VALUES
from stacks.edit import EditError, set_setting
from stacks.load import check, load_deployment

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8n3cFvqLBD3T6kFm5QH0Yj3VfVtAbJ6bXQ5XqM0d4L"
HEAD = "config:\n  webitel:cloud: aws\n  webitel:tier: basic\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of stack files."""
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path)
    return tmp_path


def write(folder: Path, lines: str, head: str = HEAD) -> Path:
    """Write a stack file with cloud and tier and more lines."""
    path = folder / "Pulumi.try.yaml"
    path.write_text(head + "".join(f"  {line}\n" for line in lines.splitlines()))
    return path


def refusals() -> list[str]:
    """What the user reads about the stack file."""
    with pytest.raises(PlanError) as caught:
        load_deployment("try")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("line", "setting", "told"),
    [
        ("webitel:counts: {app: 010}", "webitel:counts.app = 010", 'write 10, or in quotes "010"'),
        ("webitel:max_connections: 0500", "webitel:max_connections = 0500", "write 500"),
        ("webitel:max_connections: 08", "webitel:max_connections = 08", "write 8"),
        ("webitel:max_connections: 0x1F4", "webitel:max_connections = 0x1F4", "in quotes"),
        ("webitel:max_connections: 0o764", "webitel:max_connections = 0o764", "in quotes"),
        ("webitel:max_connections: 0b111110100", "webitel:max_connections = 0b111110100", "in quotes"),
        ("webitel:max_connections: 1_000", "webitel:max_connections = 1_000", "write 1000"),
        ("webitel:max_connections: +500", "webitel:max_connections = +500", "write 500"),
        ("webitel:max_connections: -0", "webitel:max_connections = -0", "write 0, or"),
        ("webitel:max_connections: 5e2", "webitel:max_connections = 5e2", "is a fraction"),
        ("webitel:domain: .inf", "webitel:domain = .inf", "is a fraction"),
        ("webitel:release: 25.08", "webitel:release = 25.08", 'in quotes, "25.08"'),
        ("webitel:destinations: [0049, 1]", "webitel:destinations = 0049", 'in quotes "0049"'),
        (
            "webitel:emergency_numbers: [112, 12345678901234567890123]",
            "webitel:emergency_numbers = 12345678901234567890123",
            "in quotes",
        ),
        (
            "webitel:package_versions: {webitel-engine: 2026-11-28}",
            "webitel:package_versions.webitel-engine = 2026-11-28",
            "is a point in time",
        ),
        ("webitel:domain: 2026-13-45", "webitel:domain = 2026-13-45", "is a point in time"),
        ("webitel:domain: !host voice.acme.io", "webitel:domain = voice.acme.io", "has the tag !host; write the value alone"),
        ("webitel:counts: {? {a: b} : 1}", "webitel:counts", "line 4: a value without a name"),
        (
            "webitel:trunk_limits: &all {calls: 5}\nwebitel:account_limits: {<<: *all}",
            "webitel:account_limits = <<",
            "line 5: a value without a name",
        ),
    ],
)
def test_what_the_engine_would_read_as_something_else(folder: Path, line: str, setting: str, told: str) -> None:
    write(folder, line)
    assert any(text.startswith(setting) and told in text for text in refusals()), refusals()


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("webitel:max_connections: '0500'", "max_connections", 500),
        ("webitel:max_connections: 500", "max_connections", 500),
        ("webitel:disruptive: yes", "disruptive", True),
        ("webitel:disruptive: TRUE", "disruptive", True),
        ("webitel:disruptive: off", "disruptive", False),
        ("webitel:domain: ~", "domain", "example.com"),
        ("webitel:region: null", "region", ""),
        ("webitel:counts: {app: !!int '2'}", None, None),
        ("webitel:destinations: ['0049']", "destinations", ("0049",)),
        ("webitel:destinations: [!!str 010]", "destinations", ("010",)),
        ("webitel:destinations: [49, 1]", "destinations", ("49", "1")),
        ("webitel:emergency_numbers: [112, 911]", "emergency_numbers", ("112", "911")),
        ("webitel:package_versions: {webitel-engine: '25.10'}", "package_versions", {"webitel-engine": "25.10"}),
        ("webitel:package_versions: '{\"webitel-engine\": 25.10}'", "package_versions", {"webitel-engine": "25.10"}),
        ("webitel:outgoing_hours: {mon-fri: 07:00-20:00}", "outgoing_hours", {"mon-fri": "07:00-20:00"}),
        ("webitel:trunk_limits: &all {calls: 5}\nwebitel:account_limits: *all", "account_limits", {"calls": 5}),
        ("aws:profile: 010\naws:maxRetries: 1.5", "cloud", "aws"),
    ],
)
def test_what_every_reader_takes_alike(folder: Path, line: str, name: str | None, value: object) -> None:
    write(folder, line)
    if name is None:
        assert refusals()
    else:
        assert getattr(load_deployment("try").settings, name) == value


@pytest.mark.parametrize(
    "values",
    [
        {"emergency_numbers": "[112,911]"},
        {"destinations": "[49]"},
        {"package_versions": '{"webitel-engine":25}'},
    ],
)
def test_numbers_in_lists_of_texts_as_the_engine_hands_them_on(values: dict[str, str]) -> None:
    ((name, text),) = values.items()
    settings = check({"cloud": "aws", "tier": "basic", **values}, "try", ()).settings
    given = json.loads(text)
    wanted = {key: str(one) for key, one in given.items()} if isinstance(given, dict) else tuple(map(str, given))
    assert getattr(settings, name) == wanted


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            "webitel:domain: a.acme.io\nwebitel:region: eu-west-1\nwebitel:domain: b.acme.io",
            "webitel:domain: stands in lines 4 and 6; keep one of them",
        ),
        ("webitel:counts: {app: 1, app: 2}", "webitel:counts.app: stands in lines 4 and 4; keep one of them"),
        ("webitel:counts:\n  app: 1\n  app: 2\n  app: 3", "webitel:counts.app: stands in lines 5, 6 and 7; keep one of them"),
        ("aws:region: eu-west-1\naws:region: eu-west-2", "aws:region: stands in lines 4 and 5; keep one of them"),
        ("webitel:repository_user: {secure: a, secure: b}", "webitel:repository_user.secure: stands in lines 4 and 4"),
    ],
)
def test_a_key_that_stands_twice_is_told_with_its_lines(folder: Path, lines: str, told: str) -> None:
    write(folder, lines)
    assert any(text.startswith(told) for text in refusals()), refusals()


def test_two_configs_are_one_too_many(folder: Path) -> None:
    write(folder, "", HEAD + HEAD)
    assert "config: stands in lines 1 and 4; keep one of them" in refusals()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("webitel:cloud: aws\nwebitel:tier: basic\n", "webitel:cloud: stands beside `config:`; indent it below (line 1)"),
        ("config:\n", "config: is missing"),
        ("", "config: is missing"),
        ("config: ~\n", "config: is missing"),
        ("confg:\n  webitel:cloud: aws\n", "config: is missing"),
        ("config: aws\n", "stacks/Pulumi.try.yaml: has no map of settings under `config:`"),
        ("- config\n", "stacks/Pulumi.try.yaml: is not a map of settings"),
        ("config: [\n", "stacks/Pulumi.try.yaml: is not YAML: line 2: "),
        ("config:\n\t- x\n", "stacks/Pulumi.try.yaml: is not YAML: line 2: "),
        ("a: 1\n---\nb: 2\n", "stacks/Pulumi.try.yaml: is not YAML: line 2: "),
        ("config: &a [*a]\n", "stacks/Pulumi.try.yaml: line 1: a value contains itself"),
        (f"config: {'[' * 1000}{']' * 1000}\n", "stacks/Pulumi.try.yaml: "),
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in ("ab", "bc", "cd", "de")),
            f"stacks/Pulumi.try.yaml: has more than {MAX_VALUES} values",
        ),
        (HEAD + "  webite:operators: [203.0.113.0/24]\n", "webite:operators: nothing reads it; did you mean webitel:operators?"),
        (HEAD + "  Webitel:domain: voice.acme.io\n", "Webitel:domain: nothing reads it; did you mean webitel:domain?"),
        (HEAD + "  webitel:config:domain: voice.acme.io\n", "webitel:config:domain: write webitel:domain"),
        (HEAD + "  domain: voice.acme.io\n", "domain: has no namespace: write webitel:domain"),
        (HEAD + "  7: x\n", "7: has no namespace: write webitel:7"),
    ],
)
def test_a_file_of_another_shape(folder: Path, text: str, told: str) -> None:
    write(folder, "", text)
    found = refusals()
    assert any(one.startswith(told) for one in found), found
    assert all("\n" not in one for one in found)


def test_line_ends_and_byte_order_mark_of_another_system(folder: Path) -> None:
    text = HEAD + "  webitel:region: eu-west-1\n"
    (folder / "Pulumi.try.yaml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_deployment("try").settings.region == "eu-west-1"


def test_a_file_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    write(folder, "")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert refusals() == ["stacks/Pulumi.try.yaml: cannot be read: Permission denied"]


def test_a_folder_and_a_link_to_nothing_in_the_file_s_place(folder: Path) -> None:
    (folder / "Pulumi.try.yaml").mkdir()
    assert refusals() == ["stacks/Pulumi.try.yaml: cannot be read: Is a directory"]
    (folder / "Pulumi.try.yaml").rmdir()
    (folder / "Pulumi.try.yaml").symlink_to(folder / "gone")
    assert refusals() == ["stacks/Pulumi.try.yaml: cannot be read: No such file or directory"]


def test_a_stack_name_that_no_file_system_takes() -> None:
    with pytest.raises(stack_settings.UnknownStackError):
        load_deployment("x" * 300)


def test_every_wrong_item_of_a_list_is_told_and_the_others_are_checked(folder: Path) -> None:
    write(folder, "webitel:carriers: [1.2.3.4/33, foo, 10.0.0.1/8, 4.0.0.0/6]\nwebitel:counts: {app: many, edge: few, data: 2}")
    told = refusals()
    for start in (
        "webitel:carriers = 1.2.3.4/33: is not",
        "webitel:carriers = foo: is not",
        "webitel:carriers = 10.0.0.1/8: has host bits set, the network is 10.0.0.0/8",
        "webitel:carriers = 4.0.0.0/6: SIP would be open to the world",
        "webitel:counts.app = many: must be a whole number",
        "webitel:counts.edge = few: must be a whole number",
        "webitel:counts.data = 2: a cluster of 2",
    ):
        assert sum(text.startswith(start) for text in told) == 1, (start, told)
    assert len(told) == 7


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("webitel:backup: {buckett: x}", "webitel:backup.buckett = x: no such setting; did you mean bucket? Backups of"),
        ("webitel:backup: {xyzzy: x}", "webitel:backup.xyzzy = x: no such setting; there are url, bucket, kept_buckets, region,"),
        ("webitel:carrier_profiles: {198.51.100.0/26: {codec: [PCMA]}}", "did you mean codecs? What is particular"),
        ("webitel:hosts: [{adress: 10.1.1.1}]", "webitel:hosts[0].address: is not set; On onprem"),
        (
            "webitel:hosts: [{address: 10.1.1.1, rolle: edge}]",
            "webitel:hosts[0].rolle = edge: no such setting; did you mean role?",
        ),
        (
            "webitel:existing_network: {id: vpc-1, subnets: {s: {rnge: 10.0.0.0/24}}}",
            "subnets.s.rnge = 10.0.0.0/24: no such setting",
        ),
        (
            "webitel:existing_network: {id: vpc-1, subnets: {s: {range: 10.0.0.3/24}}}",
            "webitel:existing_network.subnets.s.range =",
        ),
    ],
)
def test_what_is_wrong_inside_a_setting_is_named_whole(folder: Path, line: str, told: str) -> None:
    write(folder, line)
    assert any(told in text for text in refusals()), refusals()


def test_a_union_speaks_once(folder: Path) -> None:
    write(folder, "webitel:phones: [foo, 198.51.100.0/24]")
    assert [text.partition(":")[2][:25] for text in refusals()] == ["phones = foo: is not an I"]
    write(folder, "webitel:phones: inet")
    assert len(refusals()) == 1


@pytest.mark.parametrize(
    ("operators", "told"),
    [
        ("10.20.5.0/24", "such as 10.0.0.0/16"),
        ("10.0.0.0/8", "such as 172.16.0.0/16"),
        ("10.20.0.0/16, 10.0.0.0/12", "such as 10.16.0.0/16"),
    ],
)
def test_the_network_that_is_advised_is_free(folder: Path, operators: str, told: str) -> None:
    write(folder, f"webitel:operators: [{operators}]")
    text = next(text for text in refusals() if text.startswith("webitel:network = 10.20.0.0/16: overlaps"))
    assert text.endswith(told)
    write(folder, f"webitel:operators: [{operators}]\nwebitel:network: {text.rpartition(' ')[2]}")
    load_deployment("try")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (f"{KEY} ssh:", ""),
        (f"{KEY} a: b # c", ""),
        (KEY.replace(" ", "\t"), ""),
        (f"{KEY}  Bürö", ""),
        (f" {KEY}\n", ""),
        (f"{KEY}\n{KEY}", "more than one line"),
        (f"{KEY} a\rcommand", "more than one line"),
        (f"{KEY} a\x07", "invisible characters"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAA\n", "a private key: never give it away"),
        ("~/.ssh/id_ed25519.pub", "not a public key"),
        (f'command="x" {KEY}', "not a public key"),
        ("ssh-ed25519", "the key is cut"),
        ("ssh-dss AAAAB3NzaC1kc3MAAACBAP me", "not a public key"),
        (KEY[:40], "perhaps it was cut off"),
        (KEY.replace("ssh-ed25519 ", "ssh-rsa "), "not of type"),
    ],
)
def test_keys_of_operators(folder: Path, key: str, told: str) -> None:
    write(folder, f"webitel:operator_keys: [{json.dumps(key)}]")
    if told:
        (text,) = refusals()
        assert text.startswith("webitel:operator_keys = ") and told in text and "b3BlbnNz" not in text
    else:
        assert load_deployment("try").settings.operator_keys == (key.strip(),)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("webitl", "0123456789ABCDEF0123456789ABCDEF01234567", "did you mean webitel?"),
        ("webitel", "0123 4567", "40 hexadecimal digits"),
        ("mirror", "'0123456789ABCDEF0123456789ABCDEF01234567'", ""),
        ("webitel", "''", ""),
    ],
)
def test_fingerprints_of_repositories(folder: Path, name: str, value: str, told: str) -> None:
    write(folder, f"webitel:repository_keys: {{{name}: {value}}}")
    if told:
        assert told in refusals()[0] and refusals()[0].startswith(f"webitel:repository_keys.{name} = ")
    else:
        load_deployment("try")


def test_a_secret_is_never_shown(folder: Path) -> None:
    write(folder, "webitel:repository_password: 0815\nwebitel:repository_pasword: hush-hush")
    text = "\n".join(refusals())
    assert "0815" not in text and "815" not in text and "hush" not in text and "webitel:repository_password = [secret]" in text


def test_a_link_a_mode_and_line_ends_survive_a_changed_value(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.yaml"
    before = HEAD + "  webitel:domain: 2026-13-45\n"
    target.write_bytes(before.replace("\n", "\r\n").encode())
    target.chmod(0o640)
    link = folder / "Pulumi.try.yaml"
    link.symlink_to(target)
    set_setting(link, "counts.app", 2)
    assert link.is_symlink() and target.stat().st_mode & 0o777 == 0o640
    assert target.read_bytes() == f"{before}  webitel:counts: {{app: 2}}\n".replace("\n", "\r\n").encode()


def test_a_file_that_cannot_be_written_says_what_to_write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write(folder, "")
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(EditError, match=r"cannot be written: Permission denied; in an editor set webitel:counts > app 2$"):
        set_setting(path, "counts.app", 2)
    assert [one.name for one in folder.iterdir()] == ["Pulumi.try.yaml"]


def test_a_layout_that_is_no_map_is_told(folder: Path) -> None:
    for text in ("- a\n", "config: 5\n", "config: [\n"):
        with pytest.raises(EditError, match="in an editor"):
            set_setting(write(folder, "", text), "counts.app", 2)
