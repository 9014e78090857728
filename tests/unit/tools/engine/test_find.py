"""Finding and getting the engine, with scripts in place of `pulumi` and `go`, and a server in place of the official one."""

import hashlib
import http.server
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.engine import get, go
from tools.engine.find import VERSION, EngineError, find_engine
from tools.host.fetching import SetupError

PULUMI = "#!/bin/sh\necho v{version}\n"
# Writes what the real one builds, slowly enough for a second run to come meanwhile.
GO = """\
#!/bin/sh
case $1 in
env) if [ "$2" = GOPROXY ]; then echo 'https://me:secret@modules.example,direct'; else echo go{version}; fi ;;
list)
    echo listed >>"$GO_LOG"
    if [ -s "$GO_LOG.cut" ]; then sed -i 1d "$GO_LOG.cut"; echo 'go: unexpected EOF' >&2; exit 1; fi
    echo "fmt os"
    ;;
build)
    echo built >>"$GO_LOG"
    echo "toolchain $GOTOOLCHAIN" >&2
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho v3.259.0\\n' >"$2"
    chmod +x "$2"
    sleep {seconds}
    exit {status}
    ;;
esac
"""


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache, no pulumi, no Go and no way to the official binaries."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("GO_LOG", str(tmp_path / "go.log"))
    monkeypatch.setattr(get, "_DOWNLOADS", "http://127.0.0.1:1")
    monkeypatch.setattr(go, "_PLACES", ["go"])
    monkeypatch.setattr(go, "_INSTALLED", tmp_path / "lib")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("tools.host.pace.INTERVAL_SECONDS", 0)
    monkeypatch.setattr("tools.engine.get.PAUSES_SECONDS", (0, 0))
    monkeypatch.setattr("tools.host.fetching.PAUSES_SECONDS", (0, 0))
    return tmp_path


@pytest.fixture
def cached(machine: Path) -> Path:
    return machine / "cache/webitel" / f"engine-{VERSION}" / "pulumi"


def add_go(machine: Path, version: str = "1.25.3", status: int = 0, seconds: float = 0) -> None:
    write_program(machine / "bin/go", GO.format(version=version, status=status, seconds=seconds))


@pytest.mark.parametrize(
    ("version", "host", "is_used"), [("3.200.0", True, True), ("3.199.9", True, False), ("3.300.1", False, False)]
)
def test_pulumi_on_the_path(machine: Path, cached: Path, version: str, host: bool, is_used: bool) -> None:
    own = write_program(machine / "bin/pulumi", PULUMI.format(version=version))
    if host:
        write_program(machine / "bin/pulumi-language-python", "#!/bin/sh\n")
    write_program(cached, PULUMI.format(version=VERSION))
    assert find_engine(print) == (own if is_used else cached)


FOREIGN = "s3://state?region=fsn1&endpoint=https://fsn1.your-objectstorage.com"


@pytest.mark.parametrize(
    ("version", "backend", "is_used"),
    [
        ("3.244.9", FOREIGN, True),
        ("3.245.0", FOREIGN, False),
        ("3.255.0", FOREIGN, False),
        ("3.257.3", FOREIGN, False),
        ("3.258.0", FOREIGN, True),
        ("3.255.0", "s3://state?region=us-east-1", True),
        ("3.255.0", "file:///tmp/endpoint=", True),
    ],
)
def test_one_that_spoils_a_foreign_bucket_is_left_alone(
    machine: Path, cached: Path, version: str, backend: str, is_used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = write_program(machine / "bin/pulumi", PULUMI.format(version=version))
    write_program(machine / "bin/pulumi-language-python", "#!/bin/sh\n")
    write_program(cached, PULUMI.format(version=VERSION))
    told: list[str] = []
    monkeypatch.setenv("PULUMI_BACKEND_URL", backend)
    assert find_engine(told.append) == (engine if is_used else cached)
    assert bool(told) is not is_used and (is_used or version in told[0])
    # Who has logged in there has no variable.
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    monkeypatch.setenv("PULUMI_HOME", str(machine / "home"))
    write_program(machine / "home/credentials.json", json.dumps({"current": backend}))
    assert find_engine(told.append) == (engine if is_used else cached)


def test_cached_one_gets_the_language_host_of_this_checkout(cached: Path) -> None:
    write_program(cached, PULUMI.format(version=VERSION))
    write_program(cached.with_name("language_host.py"), "of another checkout")
    find_engine(print)
    assert "class _Calls" in cached.with_name("language_host.py").read_text()
    assert os.access(cached.with_name("pulumi-language-python"), os.X_OK)


@pytest.mark.parametrize("version", ["1.26.0", "1.23.5"])
def test_built_where_only_go_is_there(machine: Path, cached: Path, version: str) -> None:
    add_go(machine, version)
    steps: list[str] = []
    assert find_engine(steps.append) == cached
    assert [step for step in steps if "building" in step]
    assert sorted(file.name for file in cached.parent.iterdir()) == ["language_host.py", "pulumi", "pulumi-language-python"]
    find_engine(print)
    assert (machine / "go.log").read_text() == "listed\nbuilt\n"


def test_failed_build_leaves_nothing_and_is_told(machine: Path, cached: Path) -> None:
    add_go(machine, status=1)
    with pytest.raises(EngineError, match="could not be built from its Go modules:\ntoolchain auto"):
        find_engine(print)
    assert [file.name for file in cached.parents[1].iterdir()] == [f"engine-{VERSION}.lock"]
    add_go(machine)
    assert find_engine(print) == cached


def test_interrupted_build_leaves_nothing(machine: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_go(machine, seconds=0.2)

    def interrupt(step: str) -> None:
        if "1 of 2 packages" in step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_engine(interrupt)
    assert [file.name for file in cached.parents[1].iterdir()] == [f"engine-{VERSION}.lock"]


def test_leftover_of_a_killed_build_is_removed(machine: Path, cached: Path) -> None:
    left = cached.parents[1] / f"engine-{VERSION}.part-x"
    write_program(left / "pulumi", "half")
    add_go(machine)
    find_engine(print)
    assert not left.exists()


def test_two_runs_build_once(machine: Path, cached: Path) -> None:
    add_go(machine, seconds=0.3)
    steps: list[str] = []
    found: list[Path] = []
    runs = [threading.Thread(target=lambda: found.append(find_engine(steps.append))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(20)
    assert found == [cached, cached]
    assert (machine / "go.log").read_text() == "listed\nbuilt\n"
    assert any("waiting for another run" in step for step in steps)


@pytest.mark.parametrize(("version", "there"), [(None, "there is no Go"), ("1.19.8", "there is only Go 1.19")])
def test_without_a_way_it_says_what_to_install(
    machine: Path, version: str | None, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[4])
    if version:
        add_go(machine, version)
    with pytest.raises(EngineError) as caught:
        find_engine(print)
    assert there in str(caught.value)
    assert "\nRun this once: sudo python3 -m tools.host go\n" in str(caught.value)
    monkeypatch.chdir(machine)
    with pytest.raises(EngineError, match=r"\nRun this once: cd /.* && sudo python3 -m tools\.host go\n"):
        find_engine(print)


def test_modules_are_fetched_again_where_the_proxy_stumbles(machine: Path, cached: Path) -> None:
    add_go(machine)
    (machine / "go.log.cut").write_text("once\ntwice\n")
    assert find_engine(print) == cached
    assert (machine / "go.log").read_text() == "listed\n" * 3 + "built\n"


def test_modules_out_of_reach_are_told_with_the_host(machine: Path) -> None:
    add_go(machine)
    (machine / "go.log.cut").write_text("cut\n" * 9)
    with pytest.raises(SetupError, match=r"fetching Pulumi's Go modules failed 3 times\. It asks modules\.example"):
        find_engine(print)
    assert (machine / "go.log").read_text() == "listed\n" * 3


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The official server, with one archive; gives the paths asked for."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in ("pulumi", "pulumi-language-python", "pulumi-language-python-exec"):
            content = PULUMI.format(version=VERSION).encode()
            member = tarfile.TarInfo(f"pulumi/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    asked: list[str] = []

    class Official(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            if self.path.endswith("-checksums.txt"):
                content = b"other" if "swapped" in self.path else archive.getvalue()
                lines = [(b"no", "darwin-arm64"), (content, "linux-x64")]
                self.wfile.write(
                    "".join(
                        f"{hashlib.sha256(content).hexdigest()}  pulumi-v{VERSION}-{kind}.tar.gz\n"
                        for content, kind in lines
                        if "lacking" not in self.path
                    ).encode()
                )
            else:
                self.wfile.write(archive.getvalue()[: -100 if "cut" in self.path else None])

        def log_message(self, format: str, *args: object) -> None:
            del format, args  # not on the test's output

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Official)
    threading.Thread(target=server.serve_forever).start()
    monkeypatch.setattr(get, "_DOWNLOADS", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    yield asked
    server.shutdown()
    server.server_close()


def test_official_binaries_come_first(machine: Path, cached: Path, official: list[str]) -> None:
    add_go(machine)
    assert find_engine(print) == cached
    assert official == [f"/releases/sdk/pulumi-v{VERSION}-linux-x64.tar.gz", f"/releases/sdk/pulumi-{VERSION}-checksums.txt"]
    assert not (machine / "go.log").exists()
    # The official language host stays: ours is only for a `pulumi` without one.
    assert not cached.with_name("language_host.py").exists()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("cut", "failed: its SHA-256 is "),
        ("swapped", "failed: its SHA-256 is "),
        ("lacking", "checksums.txt does not name it"),
    ],
)
def test_official_archive_that_is_not_the_published_one_falls_back_to_the_build(
    machine: Path,
    cached: Path,
    official: list[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    said: str,
) -> None:
    add_go(machine)
    monkeypatch.setattr(get, "_DOWNLOADS", f"{get._DOWNLOADS}/{fault}")
    steps: list[str] = []
    assert find_engine(steps.append) == cached
    assert len([path for path in official if path.endswith(".tar.gz")]) == 3
    assert any(said in step for step in steps)
    assert not cached.with_name("pulumi-language-python-exec").exists()
