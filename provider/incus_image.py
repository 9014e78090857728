"""The resource type of the image that local machines boot from, and with it everything they need of this host."""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from components.model import resource_types
from provider.handler import Changes, Handler, ProviderError, Request, changed_inputs
from provider.incus import show_refusals
from provider.values import Properties
from tools.environment import SetupError
from tools.incus import api, ensure_base_image, ensure_incus, ensure_packages_image, ensure_pool


class ImageInputs(BaseModel):
    """`alias`: an image of the user's own. Otherwise `user_data`: an image on which that has run, named by `key`. Otherwise the
    base image."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    alias: str = ""
    key: str = ""
    user_data: str = ""


class LocalImage(Handler):
    """Inputs: ImageInputs. Outputs: alias. Installs and starts Incus where it is missing.

    Images are a cache shared by all stacks: deleting the resource leaves the image, and one that was cleaned away is
    made again. Changed user data alone makes no new one: running machines do not need it, and new ones install what the
    image lacks.
    """

    type = resource_types.LOCAL_IMAGE

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        changed = [name for name in changed_inputs(old, new) if name == "alias" or bool(old.get(name)) != bool(new.get(name))]
        return Changes(changed if changed or _exists(outputs["alias"]) else ["key"])

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        return "image", _ensure(request, ImageInputs.model_validate(inputs))

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        return _ensure(request, ImageInputs.model_validate(new))

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        """Leave the image to other stacks and the next run."""


@show_refusals
def _ensure(request: Request, wanted: ImageInputs) -> Properties:
    progress = _until_cancelled(request)
    try:
        ensure_incus(progress)
        ensure_pool(progress)
        if wanted.alias:
            if not _exists(wanted.alias):
                raise ProviderError(f"webitel:image = {wanted.alias}: Incus has no image with that alias; see: incus image list")
            return {"alias": wanted.alias}
        if wanted.user_data:
            return {"alias": ensure_packages_image(wanted.key, wanted.user_data, progress)}
        return {"alias": ensure_base_image(progress)}
    except SetupError as error:
        raise ProviderError(str(error)) from error


def _until_cancelled(request: Request) -> Callable[[str], None]:
    def progress(text: str) -> None:
        request.sleep(0)  # raises when the user interrupts
        request.progress(text)

    return progress


def _exists(alias: str) -> bool:
    """Tell whether the image is there; where Incus does not answer, nobody needs to know yet."""
    try:
        return api.find(f"/images/aliases/{alias}") is not None
    except api.IncusError:
        return True
