"""The environment variables in which `pulumi` runs, and the first state and passphrase of who has none."""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tools.engine.get import EngineError

WITHOUT_SIDECARS = "?metadata=skip"
"""The engine replaces a file of the state in one step, but not the one beside it with its attributes: who reads at that
moment, or after a kill then, is told `failed to load checkpoint: EOF`. Nobody needs the attributes."""
FILE = "file://"
_NO_PROXY = ("no_proxy", "NO_PROXY")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def run_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return all variables for running `pulumi`.

    Who has a backend or a passphrase of their own keeps it. Who has none gets a state folder and a random passphrase
    under `~/.local/share/webitel`, made once. Raises EngineError when that passphrase was lost.
    """
    variables = {**environ, "PULUMI_SKIP_UPDATE_CHECK": "1", **_spare_loopback(environ)}
    home = _data_folder(environ)
    ours = (home / "state").as_uri()
    backend = find_backend(environ)
    if not backend and not environ.get("PULUMI_ACCESS_TOKEN"):
        (home / "state").mkdir(mode=0o700, parents=True, exist_ok=True)
        variables["PULUMI_BACKEND_URL"] = ours + WITHOUT_SIDECARS
    elif backend.startswith(FILE) and not backend.startswith((f"{FILE}/", f"{FILE}~")):
        # The engine runs in a folder that is removed after it: there a relative one would be lost.
        variables["PULUMI_BACKEND_URL"] = f"{FILE}{Path.cwd() / backend.removeprefix(FILE)}"
    has_passphrase = "PULUMI_CONFIG_PASSPHRASE" in environ or "PULUMI_CONFIG_PASSPHRASE_FILE" in environ
    if variables.get("PULUMI_BACKEND_URL", "").removesuffix(WITHOUT_SIDECARS) == ours and not has_passphrase:
        variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_make_passphrase(home))
    return variables


def _spare_loopback(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep a proxy out of the way between the engine and its plugins, which talk over the loopback."""
    if not any(name.lower().endswith("_proxy") and value for name, value in environ.items()):
        return {}
    # Some programs read one spelling, some the other.
    stated = ",".join(filter(None, (environ.get(name, "") for name in _NO_PROXY)))
    spared = dict.fromkeys(filter(None, (*map(str.strip, stated.split(",")), *_LOOPBACK)))
    return dict.fromkeys(_NO_PROXY, ",".join(spared))


def _data_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "webitel"


def find_backend(environ: Mapping[str, str]) -> str:
    """Return the address of the user's own backend, by a variable or by `pulumi login`; "" where there is none."""
    if address := environ.get("PULUMI_BACKEND_URL"):
        return address
    home = Path(environ.get("PULUMI_CREDENTIALS_PATH") or environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        # Written by `pulumi login`; `current` is empty after `pulumi logout`.
        return str(json.loads((home / "credentials.json").read_text()).get("current") or "")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise EngineError(f"{home / 'credentials.json'} cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError) as error:
        raise EngineError(f"{home / 'credentials.json'} is damaged; log in again: pulumi login YOUR-BACKEND") from error


def _make_passphrase(home: Path) -> Path:
    path = home / "passphrase"
    if path.exists():
        return path
    if any((home / "state").rglob("stacks/**/*.json")):
        raise EngineError(
            f"{path} is gone, but stacks in {home / 'state'} are encrypted with it.\n"
            "Put it back, or give the passphrase: export PULUMI_CONFIG_PASSPHRASE_FILE=/path/of/your/copy"
        )
    try:
        with tempfile.NamedTemporaryFile("w", dir=home) as part:  # its mode is 0600 from the start
            part.write(secrets.token_urlsafe(32) + "\n")
            part.flush()
            with suppress(FileExistsError):  # another run made one meanwhile: that is the one
                os.link(part.name, path)
    except OSError as error:
        raise EngineError(f"{path} cannot be written: {error.strerror}") from error
    return path
