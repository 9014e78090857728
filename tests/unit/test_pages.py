"""The pages for people are as the code says, and the README is short."""

import pytest

from components.model.settings import Settings
from tools.pages import PAGES, ROOT, renew

RENEW = "run: PYTHONPATH=. .venv/bin/python -m tools.pages"
README_WORDS = 900


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_current(page: str) -> None:
    text = (ROOT / page).read_text()
    assert text == renew(text), RENEW


def test_every_page_with_a_block_is_renewed() -> None:
    pages = [ROOT / "NOTICE", *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert {str(page.relative_to(ROOT)) for page in pages if "\n<!-- /" in page.read_text()} == {*PAGES}


def test_every_setting_has_its_row() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    assert [name for name in Settings.model_fields if f"\n| `{name}` | " not in text] == []


def test_the_readme_is_short() -> None:
    words = len((ROOT / "README.md").read_text().split())
    assert words <= README_WORDS, f"{words} words; what is for later goes to docs/"


@pytest.mark.parametrize(("text", "says"), [
    ("<!-- nothing -->\n<!-- /nothing -->", "nobody makes the block"), ("<!-- tiers -->\n", "has no end")])
def test_a_block_that_cannot_be_made_is_an_error(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        renew(text)
