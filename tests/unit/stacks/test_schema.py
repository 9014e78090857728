"""What is derived from Settings is current, and does its work."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml
from jsonschema.protocols import Validator

from components.model.settings import Settings
from stacks.problems import SECRET_SETTINGS
from stacks.schema import PROJECT_FILE, SCHEMA_FILE, project_text, pulumi_config, schema, schema_text
from stacks.settings import list_stacks, stack_file

RENEW = "run: PYTHONPATH=. .venv/bin/python -m stacks.schema"


@cache
def validator() -> Validator:
    """The schema, itself looked at once."""
    kind = jsonschema.validators.validator_for(schema())
    kind.check_schema(schema())
    return kind(schema())


def test_the_committed_files_are_current() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), RENEW
    assert PROJECT_FILE.read_text() == project_text(PROJECT_FILE.read_text()), RENEW
    assert yaml.safe_load(PROJECT_FILE.read_text())["config"] == pulumi_config()


@pytest.mark.parametrize("stack", list_stacks())
def test_stack_files_name_the_schema_and_fit_it(stack: str) -> None:
    text = stack_file(stack).read_text()
    first = text.splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema.json"
    assert (stack_file(stack).parent / first.partition("=")[2]) == SCHEMA_FILE
    validator().validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "wrong",
    [
        {"webitel:cloud": "ovh"},
        {"webitel:colour": "blue"},
        {"webitel:repository_password": "plain"},
        {"webitel:operators": "203.0.113.0/24"},
        {"cloud": "aws"},
        {"webitel:max_connections": 1},
    ],
)
def test_the_schema_refuses(wrong: dict[str, Any]) -> None:
    config = {"webitel:cloud": "aws", "webitel:tier": "basic"} | wrong
    with pytest.raises(jsonschema.ValidationError):
        validator().validate({"config": config})


def test_the_schema_takes_what_else_stands_in_a_stack_file() -> None:
    config: dict[str, Any] = {
        "webitel:cloud": "aws",
        "webitel:tier": "basic",
        "aws:region": "eu-central-1",
        "webitel:repository_password": {"secure": "v1:x"},
        "webitel:phones": "internet",
    }
    validator().validate({"config": config, "encryptionsalt": "v1:x"})


def test_every_setting_is_described_and_declared_where_the_engine_can() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    missing = {f"webitel:{name}" for name in Settings.model_fields} - pulumi_config().keys()
    assert missing == {"webitel:phones", *(f"webitel:{name}" for name in SECRET_SETTINGS)}
