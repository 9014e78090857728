"""The plugin that Prometheus asks, taken up and laid down by a real RabbitMQ that runs, as the node's setup has it."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.sandbox.platform import RABBITMQ, Platform, free_port
from tests.sandbox.runner import node_files
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

PLUGIN, SETUP = "rabbitmq_prometheus", "/usr/lib/webitel/setup/rabbitmq.sh"


def bring(platform: Platform, port: int, *, monitoring: bool) -> None:
    """Have the broker be asked, or not, once its own list says what stands in the file: the setup may come late."""
    files, plugins = node_files(monitoring=monitoring), platform.folder / "rabbit" / "plugins"
    plugins.write_text(files["/etc/rabbitmq/enabled_plugins"])
    environment = platform.rabbit_environment()
    node = f"/nodes/{environment['RABBITMQ_NODENAME']}?columns=enabled_plugins"
    wait_until(lambda: (PLUGIN in platform.rabbit(node)[1]) == monitoring, 30, "the broker's own list")
    (function,) = re.findall(r"^ask\(\).*?^add_figures\(\) \{\n.*?^\}$", files[SETUP], re.MULTILINE | re.DOTALL)
    (metrics,) = re.findall(r"\{port, (\d+)\}", files[SETUP]) or ["0"]
    script = re.sub(r"^login\(\).*$", "login() { echo 'user = \"webitel:broker-password\"'; }", function, flags=re.MULTILINE)
    script = script.replace("{{address:all-1}}", "127.0.0.1").replace(metrics, str(port))
    script = re.sub(r"rabbit@(\$\(hostname\)|[\w-]+)", environment["RABBITMQ_NODENAME"], script)
    script = script.replace("/etc/rabbitmq/enabled_plugins", str(plugins))
    head = f"API=http://127.0.0.1:{platform.ports['management']}/api\n"
    done = subprocess.run(
        ["sh", "-euc", f"{head}{script}\nadd_figures"],
        env={**environment, "PATH": f"{RABBITMQ}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def gives_figures(port: int) -> bool:
    return subprocess.run(["curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{port}/metrics"], check=False).returncode == 0


def test_a_running_broker_gives_its_figures_and_gives_them_no_more_whatever_its_list_says(platform: Platform) -> None:
    port = free_port()
    bring(platform, port, monitoring=True)
    assert gives_figures(port)
    bring(platform, port, monitoring=True)
    assert gives_figures(port)
    bring(platform, port, monitoring=False)
    assert not gives_figures(port)
