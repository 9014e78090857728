"""Images of this machine's containers, made while something else is waited for."""

from __future__ import annotations

import threading

from cli.console import progress
from components.model.catalogue.service import PackageSource
from components.model.plan import Plan
from components.model.settings import Settings


def begin_images(plan: Plan, settings: Settings) -> None:
    """Make the containers' images while the engine is being made, which takes minutes."""
    from tools.engine.find import find_made_engine

    if not find_made_engine():
        threading.Thread(target=make_images, args=(plan, settings), daemon=True).start()


def make_images(plan: Plan, settings: Settings) -> None:
    """Make those that the deployment's containers start from; what fails is met again by who needs them."""
    from cloud_init.packages_image import compose_packages_image
    from tools.environment import SetupError
    from tools.incus import api, ensure_base_image, ensure_packages_image, ensure_pool

    try:
        ensure_pool(progress)
        if settings.image:
            ensure_base_image(progress)
        else:
            image = compose_packages_image(PackageSource(plan.package_source), plan.facts)
            ensure_packages_image(image.key, image.user_data, progress)
    except (SetupError, api.IncusError) as error:
        progress(f"the image will be tried again: {error}")
