"""What in a pipeline's file hands something to the code of a branch that nobody has read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Workflow = Mapping[str, Any]

BRANCH_EVENTS = ("pull_request_target", "workflow_run", "issue_comment")
"""Events that run with the default branch's rights for somebody else's sake."""

ENVIRONMENTS = ("webitel-preview", "webitel-night", "webitel-notes")
"""Guarded by reviewers, or for the default branch only: `docs/operate/pull-requests.md`."""

OWN_CODE = re.compile(r"\./webitel|python3? -m|\.ci/run|\bmake\b|pip install \.|npm|\bsh \S+\.sh")
GITLAB_SECRETS = re.compile(r"\$\{?(PULUMI_CONFIG_PASSPHRASE|PULUMI_BACKEND_URL|WEBITEL_NOTES_TOKEN|\w*_SECRET\w*)")
GITLAB_WRITES = "WEBITEL_NOTES_TOKEN"
WEBITEL_WITH_STATE = re.compile(r"\./webitel (preview|drift|up|status|pulumi|state|secrets|export-secrets)\b")


def find_leaks(workflow: Workflow) -> Iterator[str]:
    """Find them in a workflow of GitHub."""
    events = workflow["on"] if isinstance(workflow["on"], (dict, list)) else [workflow["on"]]
    yield from (f"{event}: runs with more rights than the branch has" for event in BRANCH_EVENTS if event in events)
    if opens(workflow.get("env", {})):
        yield "env: secrets for every job"
    for name, job in workflow["jobs"].items():
        steps = job.get("steps", [])
        own = any(step.get("uses", "").startswith("actions/checkout@") for step in steps) or any(
            OWN_CODE.search(step.get("run", "")) for step in steps
        )
        permissions = job.get("permissions", workflow.get("permissions", "write-all"))
        writes = permissions == "write-all" or "write" in (permissions.values() if isinstance(permissions, dict) else [])
        guarded = any(known in str(job.get("environment", "")) for known in ENVIRONMENTS)
        if job.get("secrets") == "inherit":
            yield f"{name}: inherits every secret"
        if (
            opens(job) or "self-hosted" in str(job.get("runs-on")) or "vars.WEBITEL_RUNNER" in str(job.get("runs-on"))
        ) and not guarded:
            yield f"{name}: secrets or a runner of yours without an environment"
        if own and writes and not guarded:
            yield f"{name}: runs the branch's code with a token that writes"


def opens(part: Any) -> bool:
    """Return whether a part of a workflow names a secret or hands out the job's token."""
    return bool(re.search(r"\$\{\{[^}]*(secrets\.|secrets\[|toJSON\(secrets)", str(part)))


def find_gitlab_leaks(pipeline: Workflow) -> Iterator[str]:
    """Find them in a file of GitLab."""
    for name, job in pipeline.items():
        if not isinstance(job, dict) or "script" not in job:
            continue
        script = "\n".join(job["script"])
        own = bool(OWN_CODE.search(script)) or job.get("variables", {}).get("GIT_STRATEGY") != "none"
        environment = job.get("environment")
        guarded = (environment.get("name") if isinstance(environment, dict) else environment) in ENVIRONMENTS
        secret = GITLAB_SECRETS.search(script) or WEBITEL_WITH_STATE.search(script)
        if secret and not guarded:
            yield f"{name}: {secret[0]} without an environment"
        if own and GITLAB_WRITES in script:
            yield f"{name}: runs the branch's code beside {GITLAB_WRITES}"
