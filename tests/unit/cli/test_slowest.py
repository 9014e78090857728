"""The slowest step is named at the end."""

from cli.engine.events import Rollout, Row
from cli.engine.rollout import Run
from cli.show.times import find_slowest_step
from components.model.settings import Settings
from tests.plans import make_plan

MADE = make_plan(Settings.model_validate({"cloud": "local", "tier": "basic"}), "s")


def test_the_longest_step_of_all_nodes_is_named() -> None:
    rollout = Rollout(MADE.nodes)
    rollout.rows = {
        "s-data-1": Row("s-data-1", [(0, "creating"), (9, "packages 1/30"), (25, "packages 2/30"), (50, "files")], ended=60),
        "s-app-1": Row("s-app-1", [(0, "creating local machine"), (30, "files")], ended=35),
    }
    assert find_slowest_step(Run(rollout, 0, False, "", 70), MADE) == "s-data-1 packages 1/30, 41s"
    assert find_slowest_step(Run(Rollout(MADE.nodes), 0, False, "", 70), MADE) == ""
