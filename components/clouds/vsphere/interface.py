"""vCenter's own interface (SOAP, `/sdk`, the vSphere Web Services API): what no function of the provider tells or does. It is
asked with the provider's own log-in, and logged out of again, as vCenter has few sessions."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from components.clouds.adoption import Setting
from components.clouds.own_interface import SECONDS, make_context

NAMESPACE = "{urn:vim25}"
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
ENVELOPE = (
    '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    '<Body><{method} xmlns="urn:vim25">{body}</{method}></Body></Envelope>'
)


class VcenterError(OSError):
    """What vCenter said, or why it could not be asked."""


@dataclass(frozen=True)
class Ref:
    """A thing of vCenter: its type, and the id that it has there."""

    type: str
    id: str

    def write(self, name: str) -> str:
        """Return it as an element of that name."""
        return f"<{name} type={quoteattr(self.type)}>{escape(self.id)}</{name}>"


def read_ref(element: Element) -> Ref:
    """Return the thing that an element names."""
    return Ref(element.get("type", ""), element.text or "")


Properties = Mapping[str, Element]
"""Of a thing, by path."""


class Session:
    """A log-in. Every method raises VcenterError."""

    def __init__(self, setting: Setting) -> None:
        self.server = setting("vsphere:vsphereServer") or os.environ.get("VSPHERE_SERVER", "")
        self.user = setting("vsphere:user") or os.environ.get("VSPHERE_USER", "")
        self.password = setting("vsphere:password") or os.environ.get("VSPHERE_PASSWORD", "")
        if not self.server or not self.user or not self.password:
            raise VcenterError("export VSPHERE_SERVER=... VSPHERE_USER=... VSPHERE_PASSWORD=...")
        insecure = setting("vsphere:allowUnverifiedSsl") or os.environ.get("VSPHERE_ALLOW_UNVERIFIED_SSL", "")
        context = make_context(insecure=insecure.lower() in ("true", "1"))
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.HTTPCookieProcessor(CookieJar())
        )
        self.content = self.call("RetrieveServiceContent", Ref("ServiceInstance", "ServiceInstance"))[0]

    @property
    def version(self) -> str:
        """vCenter's own words for what it is."""
        return self.content.findtext(f"{NAMESPACE}about/{NAMESPACE}fullName", "")

    def part(self, name: str) -> Ref:
        """Return a part of vCenter, such as `searchIndex`."""
        found = self.content.find(f"{NAMESPACE}{name}")
        if found is None:
            raise VcenterError(f"{self.server} has no {name}: not a vCenter")
        return read_ref(found)

    def log_in(self) -> str:
        """Log in; return whom vCenter takes us for."""
        body = f"<userName>{escape(self.user)}</userName><password>{escape(self.password)}</password>"
        return self.call("Login", self.part("sessionManager"), body)[0].findtext(f"{NAMESPACE}userName", self.user)

    def log_out(self) -> None:
        """End the session."""
        self.call("Logout", self.part("sessionManager"))

    def call(self, method: str, this: Ref, body: str = "") -> list[Element]:
        """Return every `returnval` of an answer."""
        sent = ENVELOPE.format(method=method, body=this.write("_this") + body).encode()
        url = self.server if "://" in self.server else f"https://{self.server}"
        request = urllib.request.Request(
            f"{url}/sdk", sent, {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": "urn:vim25"}, method="POST"
        )
        try:
            with self.opener.open(request, timeout=SECONDS) as answer:
                found = ElementTree.fromstring(answer.read())
        except urllib.error.HTTPError as error:
            raise VcenterError(f"{method}: {read_fault(error.read()) or f'{error.code} {error.reason}'}") from error
        except (urllib.error.URLError, TimeoutError, ElementTree.ParseError) as error:
            raise VcenterError(f"{method}: {getattr(error, 'reason', error)}") from error
        return list(found.iter(f"{NAMESPACE}returnval"))

    def read(self, thing: Ref, *paths: str) -> Properties:
        """Return properties of a thing; those that it has not are left out."""
        found = self._retrieve(thing.type, paths, thing.write("obj"))
        return found[0][1] if found else {}

    def list_all(self, type: str, *paths: str) -> list[tuple[Ref, Properties]]:
        """Return every thing of a type with properties of it."""
        root = self.part("rootFolder").write("container")
        view = read_ref(
            self.call("CreateContainerView", self.part("viewManager"), f"{root}<type>{type}</type><recursive>true</recursive>")[0]
        )
        ways = '<selectSet xsi:type="TraversalSpec"><type>ContainerView</type><path>view</path><skip>false</skip></selectSet>'
        return self._retrieve(type, paths, f"{view.write('obj')}<skip>true</skip>{ways}")

    def _retrieve(self, type: str, paths: Sequence[str], objects: str) -> list[tuple[Ref, Properties]]:
        wanted = "".join(f"<pathSet>{path}</pathSet>" for path in paths)
        spec = (
            f"<specSet><propSet><type>{type}</type><all>false</all>{wanted}</propSet><objectSet>{objects}</objectSet></specSet>"
        )
        return [
            (
                read_ref(child(one, "obj")),
                {text_of(found, "name"): child(found, "val") for found in one.iter(f"{NAMESPACE}propSet")},
            )
            for one in self.call("RetrieveProperties", self.part("propertyCollector"), spec)
        ]

    def find_machine(self, uuid: str) -> Ref:
        """Return a machine by the UUID that its provider knows it by."""
        search = f"<uuid>{escape(uuid)}</uuid><vmSearch>true</vmSearch><instanceUuid>false</instanceUuid>"
        found = self.call("FindByUuid", self.part("searchIndex"), search)
        if not found:
            raise VcenterError(f"vCenter has no machine {uuid}")
        return read_ref(found[0])

    def find_path(self, path: str) -> Ref | None:
        """Return what stands at a path of the inventory, such as `Datacenter/vm/edge-1`."""
        found = self.call("FindByInventoryPath", self.part("searchIndex"), f"<inventoryPath>{escape(path)}</inventoryPath>")
        return read_ref(found[0]) if found else None


@contextmanager
def open_session(setting: Setting) -> Iterator[Session]:
    """Log in for as long as questions are asked."""
    session = Session(setting)
    session.log_in()
    try:
        yield session
    finally:
        session.log_out()


def child(element: Element, name: str) -> Element:
    """Return the child of that name, which has to be there."""
    found = element.find(f"{NAMESPACE}{name}")
    if found is None:
        raise VcenterError(f"an answer of vCenter has no {name}")
    return found


def text_of(element: Element, name: str) -> str:
    """Return the text of a child, "" without one."""
    return element.findtext(f"{NAMESPACE}{name}", "")


def value_of(properties: Properties, path: str) -> str:
    """Return a property as text, "" where the thing has none."""
    found = properties.get(path)
    return (found.text or "") if found is not None else ""


def read_fault(document: bytes) -> str:
    """Return vCenter's words for what it refused, "" where there are none."""
    try:
        return ElementTree.fromstring(document).findtext(".//faultstring", "")
    except ElementTree.ParseError:
        return ""
