"""What a host lacks is told before anything is created."""

from components.model.host import explain_shortage
from components.model.settings import Settings
from tests.plans import make_plan


def test_seven_nodes_fit_into_ten_gib_and_thirty_do_not() -> None:
    seven = make_plan(Settings.model_validate({"cloud": "local", "tier": "extended"}), "s").nodes
    assert len(seven) == 7
    assert explain_shortage(seven, 10, 20) == ""
    assert explain_shortage((), 0, 0) == ""
    many = make_plan(
        Settings.model_validate({"cloud": "local", "tier": "extended", "counts": {"media": 25}, "network": "10.90.0.0/20"}), "s"
    ).nodes
    assert len(many) == 30
    assert explain_shortage(many, 10, 100) == ("this machine lacks 12.0 GiB of memory (22.0 wanted, 10.0 free) for 30 more nodes")
    assert explain_shortage(many[:1], 10, 0.1) == "this machine lacks 0.5 GiB of disk (0.6 wanted, 0.1 free) for 1 more node"
