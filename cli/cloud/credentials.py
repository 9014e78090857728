"""Which credentials the clouds' providers take, and which of them are here: names only, never a value."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sources:
    """Where a provider finds its credentials.

    `variables`: sets of environment variables, each set enough. `files` of the home directory, written by `login`.
    `config`: names under the provider's namespace in the stack file. `also`: further things it cannot do without,
    each as the variables and names in the stack file that say it, with how to set it.
    """

    variables: tuple[tuple[str, ...], ...]
    login: str
    files: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    also: Mapping[str, tuple[tuple[str, ...], str, str]] = field(default_factory=dict)


SOURCES: Mapping[str, Sources] = {
    "aws": Sources(
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_PROFILE",), ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")),
        "aws configure", (".aws/credentials", ".aws/config")),
    "azure": Sources(
        (("ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID"),
         ("ARM_CLIENT_ID", "ARM_USE_OIDC", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID")),
        "az login", (".azure/azureProfile.json",), ("clientId",)),
    "digitalocean": Sources(
        (("DIGITALOCEAN_TOKEN",), ("DIGITALOCEAN_ACCESS_TOKEN",)), "https://cloud.digitalocean.com/account/api/tokens",
        config=("token",)),
    "gcp": Sources(
        (("GOOGLE_CREDENTIALS",), ("GOOGLE_APPLICATION_CREDENTIALS",), ("GOOGLE_OAUTH_ACCESS_TOKEN",)),
        "gcloud auth application-default login", (".config/gcloud/application_default_credentials.json",),
        ("credentials", "accessToken"),
        {"project": (("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"), "project",
                     "export GOOGLE_PROJECT=your-project")}),
    "hetzner": Sources(
        (("HCLOUD_TOKEN",),), "https://console.hetzner.com: project, Security, API tokens (read and write)",
        config=("token",)),
}
"""By cloud (`facts/clouds.md` 1.8, 2.8, 3.8, 4.8, 5.8). The variables before others are the ones told to the user."""


@dataclass(frozen=True)
class Found:
    """What is here, by name, what is missing with its remedy, by what it is, and how credentials are given."""

    names: tuple[str, ...]
    missing: Mapping[str, str]
    remedy: str


def find_credentials(
    cloud: str, config: Collection[str], environ: Mapping[str, str] = os.environ, home: Path | None = None,
) -> Found:
    """The credentials of a cloud. `config` are the names under the provider's namespace in the stack file."""
    sources, home = SOURCES[cloud], home or Path.home()
    complete = [names for names in sources.variables if all(environ.get(name) for name in names)]
    begun = [names for names in sources.variables if any(environ.get(name) for name in names)]
    found = [
        *dict.fromkeys(name for names in complete for name in names),
        *(f"~/{name}" for name in sources.files if (home / name).exists()),
        *(f"{name} in the stack file" for name in sources.config if name in config),
    ]
    remedy = " or ".join(explain_ways(sources))
    missing = {}
    if not found and begun:
        nearest = min(begun, key=lambda names: sum(not environ.get(name) for name in names))
        here, lacking = ([name for name in nearest if bool(environ.get(name)) is wanted] for wanted in (True, False))
        missing["credentials"] = f"{', '.join(here)} alone is not enough: {export(lacking)}"
    elif not found:
        missing["credentials"] = remedy
    for what, (variables, key, command) in sources.also.items():
        if given := [name for name in variables if environ.get(name)]:
            found.append(given[0])
        elif key not in config:
            missing[what] = command
    return Found(tuple(found), missing, remedy)


def explain_ways(sources: Sources) -> Iterator[str]:
    """How to give credentials: the log-in, and the variables that need none."""
    if sources.files:
        yield sources.login
    exports = export(sources.variables[0])
    yield exports if sources.files else f"{exports} (from {sources.login})"


def export(names: Iterable[str]) -> str:
    """The command that sets variables."""
    return "export " + " ".join(f"{name}=..." for name in names)
