"""What all tests have in common."""

import gc
import os
import re
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

MARKS = re.compile(r"^pytestmark = (\[[^\]]*\]|.*)$", re.MULTILINE)
WITHOUT = re.compile(r"not \w+( and not \w+)*")
"""A choice that only leaves parts out, as the default does."""

TESTS = Path(__file__).parent

FIRST = (
    "clouds/upgrade/test_upgrade.py",
    "clouds/conformance/test_day_two.py",
    "clouds/conformance/test_replacements.py",
    "clouds/conformance/test_given_network.py",
    "clouds/conformance/test_earlier_disks.py",
    "clouds/conformance/test_power.py",
    "clouds/conformance/test_asked_first.py",
    "clouds/conformance/test_zones.py",
    "clouds/test_account.py",
    "clouds/test_azure.py",
    "clouds/test_aws.py",
    "clouds/test_gcp.py",
    "unit/node/test_composed.py",
    "unit/node/test_bundles.py",
    "unit/node/test_guard.py",
    "unit/node/test_kept_calls.py",
    "unit/node/test_install.py",
    "unit/node/test_rings.py",
    "unit/node/test_wall.py",
    "unit/test_local_groups.py",
    "unit/provider/test_configuration.py",
    "unit/provider/test_first_contact.py",
    "unit/provider/test_log_in.py",
    "unit/provider/test_provided.py",
    "unit/cloud_init/test_host_program.py",
    "unit/cli/test_init.py",
    "unit/cli/test_hosts_asked.py",
    "unit/cli/test_secrets.py",
    "unit/cli/test_smoke.py",
    "unit/tools/test_launcher.py",
    "lint/test_service_names.py",
)
"""Files that take long although their tests are few: begun last, one worker would wait for the other at the end."""

SHOWN_SECONDS = 1
"""Of what a test is made or ended with, as of tests, those that take longer are shown."""

# What is read stays: a third of the time that reading takes would go into looking for what may be given up.
gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    """Leave the order of files to this file; xdist would begin with those of most tests."""
    assert not [name for name in FIRST if not (TESTS / name).exists()], "listed in FIRST, and no such file"
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Hand workers what takes long first: the files listed, then those of most tests."""
    if hasattr(config, "workerinput"):
        places = {TESTS / name: place for place, name in enumerate(FIRST)}
        sizes = Counter(item.path for item in items)
        items.sort(key=lambda item: (places.get(item.path, len(FIRST)), -sizes[item.path], item.path))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Have every second worker read the files from the other end: what one has compiled by then, the other one finds compiled."""
    report = yield
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    if int(number) % 2 and isinstance(collector, pytest.Dir):
        report.result.reverse()
    return report


@pytest.hookimpl
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Tell the controller of a test once: of five messages each, it reads those for longer than most tests take."""
    if not hasattr(item.config, "workerinput"):
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed or report.duration >= SHOWN_SECONDS:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


def pytest_collection_finish() -> None:
    """Have what tests leave behind given up, and nothing looked through again that stays."""
    gc.freeze()
    gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a file unread whose tests are all of a part that is left out: a third of them, and reading takes seconds."""
    chosen = config.option.markexpr
    named = {Path(word.partition("::")[0]).absolute() for word in config.args}
    if not collection_path.name.startswith("test_") or collection_path in named or not WITHOUT.fullmatch(chosen):
        return None
    found = MARKS.search(collection_path.read_text())
    marks = re.findall(r"pytest\.mark\.(\w+)", found[1]) if found else []
    return True if set(marks) & set(chosen.split()) else None
