"""The picture of a drill."""

from pathlib import Path
from xml.etree import ElementTree

from cli.commands.drill import draw, name_plot
from cli.drills.run import Timeline


def test_a_gap_is_seen_and_what_made_it_is_marked(tmp_path: Path) -> None:
    rows = [100 + 0.05 * number for number in range(100) if not 20 <= number < 60]
    timeline = Timeline(100.0, 105.0, {"row": rows, "message": []}, {"fault": 101.0, "mended": 102.5})
    draw(tmp_path / "a.svg", "local-basic", "kill-leader", timeline)
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    first, second = (one for one in root.iter() if one.tag.endswith("polyline"))
    heights = [float(point.split(",")[1]) for point in first.attrib["points"].split()]
    assert len(heights) == 50
    assert len({*heights[11:29]}) == 1 and heights[11] > heights[5]
    assert len({point.split(",")[1] for point in second.attrib["points"].split()}) == 1
    texts = [one.text for one in root.iter() if one.tag.endswith("text")]
    assert {"fault", "mended", "rows acknowledged", "messages acknowledged", "local-basic: kill-leader"} <= {*texts}


def test_of_several_each_has_a_file(tmp_path: Path) -> None:
    plot = tmp_path / "a.svg"
    assert name_plot(plot, "kill-leader").name == "a-kill-leader.svg"
    (tmp_path / "a-kill-leader.svg").touch()
    assert name_plot(plot, "kill-leader").name == "a-kill-leader-2.svg"
