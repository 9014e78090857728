"""What tests open to other accounts is theirs."""

from pathlib import Path

import pytest

from tests.sandbox.folders import let_others_in


@pytest.mark.parametrize("made", ["pytest-of-x/pytest-0/backup0", "pytest-of-x/pytest-0/popen-gw1/backup0"])
def test_the_place_of_all_temporary_files_keeps_its_mode(tmp_path: Path, made: str) -> None:
    """In one process there is one folder less between the two than with several workers."""
    place = tmp_path / "tmp"
    folder = place / made
    folder.mkdir(parents=True, mode=0o700)
    place.chmod(0o1777)
    (place / "pytest-of-x").chmod(0o700)
    let_others_in(folder)
    assert place.stat().st_mode & 0o7777 == 0o1777
    assert {above.stat().st_mode & 0o777 for above in (folder, folder.parent, place / "pytest-of-x")} == {0o755}


def test_of_a_place_that_pytest_was_given_nothing_above_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --basetemp no name tells what is pytest's."""
    opened: list[str] = []
    monkeypatch.setattr(Path, "chmod", lambda path, mode: opened.append(str(path)))
    let_others_in(Path("/home/somebody/given/backup0"))
    assert opened == ["/home/somebody/given/backup0"]
