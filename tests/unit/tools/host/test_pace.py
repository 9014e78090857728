from tools.host.pace import Pace


def test_a_step_is_shown_once_then_every_ten_seconds_with_its_count() -> None:
    lines: list[str] = []
    now = [0.0]
    pace = Pace(lines.append, clock=lambda: now[0])
    for second in range(25):
        now[0] = second
        pace.say("building", f"{second} of 25")
    assert lines == ["building: 0 of 25", "building: 10 of 25", "building: 20 of 25"]


def test_the_same_line_is_never_shown_twice_and_a_new_step_at_once() -> None:
    lines: list[str] = []
    now = [0.0]
    pace = Pace(lines.append, clock=lambda: now[0])
    for second in range(60):
        now[0] = second
        pace.say("booting" if second < 30 else "installing")
    assert lines == ["booting", "installing"]
