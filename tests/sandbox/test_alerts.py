"""Every alert rule fires and clears with the series of its case, by Prometheus' own `promtool`."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud_init.alerts import FOLDER, WHY, describe_rule, render_files, render_rules
from components.model.catalogue.alert import Alert
from components.model.catalogue.alerts import ALERTS
from components.model.catalogue.services import CATALOGUE
from tests.sandbox.alert_cases import CASES, Case

pytestmark = pytest.mark.sandbox

OUTSIDE = {"deployment": "aws-basic"}
RULE_OF = {alert.name: (service, alert) for service, alerts in ALERTS.items() for alert in alerts}


def expected(service: str, alert: Alert, case: Case) -> dict[str, Any]:
    """The alert as it must come out, templates filled."""
    rule: Any = describe_rule(service, alert)
    texts = {name: case.why if text == WHY else text for name, text in rule["annotations"].items()}
    filled = {
        name: re.sub(
            r"\{\{ \$(labels|externalLabels)\.(\w+) \}\}",
            lambda found: {"labels": case.labels, "externalLabels": OUTSIDE}[found[1]][found[2]],
            text,
        )
        for name, text in texts.items()
    }
    return {"exp_labels": {**rule["labels"], **case.labels, **rule["labels"]}, "exp_annotations": filled}


def test_of(name: str) -> dict[str, Any]:
    """One test of promtool: silent at first, firing, cleared."""
    (service, alert), case = RULE_OF[name], CASES[name]
    times = [(case.fires, [expected(service, alert, case)])]
    times += [] if case.clears is None else [(0, []), (case.clears, [])]
    return {
        "interval": "1m",
        "external_labels": OUTSIDE,
        "name": name,
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": alerts}
            for minute, alerts in sorted(times, key=lambda t: t[0])
        ],
    }


test_of.__test__ = False  # type: ignore[attr-defined]


def run(folder: Path, names: list[str], replaced: str = "") -> subprocess.CompletedProcess[str]:
    """promtool on each of these rules alone, which is much faster than all of them for every case; `replaced` is put in the
    place of their expressions."""
    for name in names:
        service, alert = RULE_OF[name]
        alone = replace(alert, expression=replaced) if replaced else alert
        (folder / f"{name}.rules").write_text(render_rules({service: (alone,)}))
        document = {"rule_files": [f"{name}.rules"], "evaluation_interval": "30s", "tests": [test_of(name)]}
        (folder / f"{name}.yml").write_text(json.dumps(document))
    files = [folder / f"{name}.yml" for name in names]
    return subprocess.run(["promtool", "test", "rules", *files], capture_output=True, text=True, check=False)


def test_every_service_has_rules_and_every_rule_its_case() -> None:
    assert set(ALERTS) == set(CATALOGUE)
    assert set(CASES) == set(RULE_OF) and len(RULE_OF) == sum(map(len, ALERTS.values()))
    written = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert written == render_files(), "run: PYTHONPATH=. .venv/bin/python -m tools.pages"


def test_every_rule_fires_and_clears(tmp_path: Path) -> None:
    done = run(tmp_path, list(CASES))
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert done.stdout.count("SUCCESS") == len(CASES)


def test_a_rule_that_never_fires_is_found(tmp_path: Path) -> None:
    names = ["NodeSilent", "AudioPortsShort", "FlowManagerDown"]
    done = run(tmp_path, names, "vector(0) > 1")
    assert done.returncode != 0 and all(f"alertname: {name}" in done.stdout + done.stderr for name in names)
