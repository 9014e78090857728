"""What the resource type `Secrets` does: makes every secret of a deployment once, and rotates one on request."""

import datetime
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from components.model import resource_types
from components.model.secret_specs import SECRETS, SecretKind
from provider import certificates, provided
from provider.handler import Changes, Failure, Handler, Request
from provider.values import UNKNOWN, Properties, secret

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_LENGTH = 32

Values = dict[str, Any]
OF_DATA = tuple(name for name, spec in SECRETS.items() if spec.of_data)
"""What is taken over with another deployment's data."""


class Secrets(Handler):
    """Inputs: `names` of components/model/secret_specs.py, `generations` (name -> number, 1 where absent) and `domain` of
    the web certificate; where its owner provides that, `certificate` (PEM, secret) and `web_names` too. `recovered` (name ->
    value, secret): another deployment's, with its data, which replace those made here and stay. Outputs: `values`
    (secret) and `public`, maps by name; `generations` and `domain` as made.

    A secret stays once it is made, even when no longer named: without the storage key a database is worthless.
    """

    type = resource_types.SECRETS

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        failures = [
            Failure("names", f"there is no secret {name}; the secrets are {', '.join(SECRETS)}")
            for name in new["names"]
            if name not in SECRETS
        ]
        was = old["generations"] if old else {}
        for name, generation in new["generations"].items():
            problem = ""
            if name not in SECRETS:
                problem = f"there is no such secret; the secrets are {', '.join(SECRETS)}"
            elif not isinstance(generation, int) or generation < 1:
                problem = "must be a whole number of at least 1, such as 2"
            elif generation < was.get(name, 1):
                problem = f"it was {was[name]}; raise it to rotate"
            if problem:
                failures.append(Failure("generations", f"webitel:rotate.{name} = {generation}: {problem}"))
        failures += [
            Failure("recovered", f"{name} does not belong to data; what does is {', '.join(OF_DATA)}")
            for name in read_recovered(new)
            if name not in OF_DATA
        ]
        failures += [Failure("certificate", f"webitel:certificate_pem: {problem}") for problem in find_wrong(old or {}, new)]
        return new, failures

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        stale = find_stale(new, outputs)
        if not stale:
            return Changes(())
        missing = [name for name in stale if name not in outputs["values"]]
        rotated = [name for name in stale if name in new["generations"]]
        changed = {"names"} if missing else set()
        changed |= {"recovered"} if set(stale) & set(read_recovered(new)) else set()
        changed |= {"generations"} if rotated else set()
        changed |= {"domain"} if new["domain"] != outputs["domain"] else set()
        changed |= {"certificate"} if new.get("certificate") and new["certificate"] != old.get("certificate") else set()
        return Changes(sorted(changed) or ["domain"])  # a certificate that expires soon shows as its domain

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        return "secrets", _make_outputs(inputs, {})

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        return _make_outputs(new, outputs)

    def preview_update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        stale = find_stale(new, outputs)
        public = {SECRETS[name].public for name in stale} - {""}
        # A value that stays is known, so that the preview tells which nodes a rotation concerns.
        return {
            "values": secret(outputs["values"] | dict.fromkeys(stale, UNKNOWN)),
            "public": outputs["public"] | dict.fromkeys(public, UNKNOWN),
        }


def find_wrong(old: Properties, new: Properties) -> list[str]:
    """Tell what is wrong with a certificate that is provided. One that is in use already may end: other changes must go on."""
    text = new.get("certificate", "")
    if not text or text is UNKNOWN:
        return []
    asked = ("certificate", "domain", "web_names")
    if all(old.get(name) == new.get(name) for name in asked):
        return []
    try:
        found = provided.read(text)
    except provided.ProvidedError as error:
        return [str(error)]
    names = [new["domain"], *new.get("web_names", ())]
    return list(provided.check(found, names, datetime.datetime.now(datetime.UTC)))


def read_recovered(inputs: Properties) -> Mapping[str, str]:
    """Return the secrets that are another deployment's, with its data; none while they are unknown."""
    given = inputs.get("recovered") or {}
    return {} if given is UNKNOWN else given


def find_stale(inputs: Properties, outputs: Properties) -> list[str]:
    """Return the names of the secrets to make: missing, rotated, or a certificate that is due."""
    values, made = outputs.get("values", {}), outputs.get("generations", {})
    wanted = inputs["generations"]
    stale = [name for name in inputs["names"] if name not in values or wanted.get(name, 1) > made.get(name, 1)]
    if "acme_account_key" in stale and "acme_thumbprint" in inputs["names"] and "acme_thumbprint" not in stale:
        stale.append("acme_thumbprint")
    stale += [name for name, value in read_recovered(inputs).items() if name not in stale and values.get(name) != value]
    for name, spec in SECRETS.items():
        if spec.kind == SecretKind.CERTIFICATE and name in values and name in inputs["names"] and name not in stale:
            due = (
                "authority" in stale
                or certificates.ends_soon(values[name])
                or not certificates.is_signed_by(values["authority"], values[name])
            )
            if own := inputs.get("certificate"):
                due = own is UNKNOWN or provided.read(own).text() != values[name]
            if due or inputs["domain"] != outputs["domain"]:
                stale.append(name)
        if spec.kind == SecretKind.NODE_CERTIFICATE and name in values and name in inputs["names"] and name not in stale:
            signed = certificates.is_signed_by(values.get("nodes_authority", ""), values[name])
            if not signed or certificates.ends_soon(values[name]):
                stale.append(name)
    return stale


def _make_outputs(inputs: Properties, outputs: Properties) -> Properties:
    values: Values = dict(outputs.get("values", {}))
    public = dict(outputs.get("public", {}))
    stale, recovered = find_stale(inputs, outputs), read_recovered(inputs)
    # The authority before what it signs, a key before its thumbprint: the order of SECRETS.
    for name in (name for name in SECRETS if name in stale):
        spec = SECRETS[name]
        if name in recovered:
            values[name] = recovered[name]
            continue
        if spec.kind == SecretKind.CERTIFICATE:
            own = inputs.get("certificate")
            values[name] = provided.read(own).text() if own else certificates.sign_server(values["authority"], inputs["domain"])
            continue
        if spec.kind == SecretKind.THUMBPRINT:
            values[name] = certificates.thumbprint(values["acme_account_key"])
            continue
        if spec.kind == SecretKind.ROOT:
            values[name] = certificates.show_certificate(values["nodes_authority"])
            continue
        if spec.kind == SecretKind.NODE_CERTIFICATE:
            values[name] = certificates.sign_node(values["nodes_authority"], spec.host, loopback=spec.loopback)
            continue
        if spec.kind == SecretKind.MEMBER_CERTIFICATE:
            values[name] = certificates.make_member(spec.host)
            continue
        values[name], half = _MAKERS[spec.kind]()
        if spec.public:
            public[spec.public] = half
    wanted, made = inputs["generations"], outputs.get("generations", {})
    generations = {name: max(wanted.get(name, 1), made.get(name, 1)) for name in values}
    return {"values": secret(values), "public": public, "generations": generations, "domain": inputs["domain"]}


def make_password(length: int = _LENGTH) -> str:
    """Make a password that is safe in every configuration file, URL and command line: it never starts with `-`."""
    while True:
        password = "".join(secrets.choice(_ALPHABET) for _ in range(length))
        if not password.startswith("-"):
            return password


_MAKERS: Mapping[SecretKind, Callable[[], tuple[str, str]]] = {
    SecretKind.PASSWORD: lambda: (make_password(), ""),
    SecretKind.UUID: lambda: (str(uuid.uuid4()), ""),
    SecretKind.BASE64_KEY: lambda: (certificates.make_base64_key(), ""),
    # Two keys joined by a comma, each of 32 characters (`facts/webitel.md` 3).
    SecretKind.COOKIE_KEYS: lambda: (f"{make_password()},{make_password()}", ""),
    SecretKind.RSA_PKCS1: certificates.make_rsa_key,
    SecretKind.ACCOUNT_KEY: certificates.make_account_key,
    SecretKind.SSH_KEY: certificates.make_ssh_key,
    SecretKind.AUTHORITY: certificates.make_authority,
    SecretKind.NODES_AUTHORITY: certificates.make_nodes_authority,
}
"""Kind -> a function that makes one and its public half ("" where it has none)."""
