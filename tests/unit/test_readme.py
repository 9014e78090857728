"""The README is as the model says."""

from tools.readme import README, renew


def test_the_tables_are_current() -> None:
    text = README.read_text()
    assert text == renew(text), "run: PYTHONPATH=. .venv/bin/python -m tools.readme"
