"""What status says of a program's own last words."""

from cloud_init.node.health import status


def test_the_last_words_hide_the_password_of_an_address() -> None:
    log = [
        "2026-11-28T17:48:58+0000 node messages[7]: INF Disconnected from amqp://webitel:jK0z_b-Q@127.0.0.1:5672?heartbeat=10",
        "2026-11-28T17:48:58+0000 node systemd[1]: messages-srv.service: Deactivated successfully.",
    ]
    assert status.last_words(log) == "INF Disconnected from amqp://webitel:***@127.0.0.1:5672?heartbeat=10"
