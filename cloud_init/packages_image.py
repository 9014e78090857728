"""The image of this machine's containers with the packages in it: what is done to make it."""

from __future__ import annotations

from cloud_init.compose import compose_user_data
from components.model.catalogue.service import PackageSource
from components.model.clouds.facts import CloudFacts
from components.model.planning.planner import make_plan
from components.model.settings import Settings
from components.model.user_data import PackagesImage


def compose_packages_image(source: PackageSource, facts: CloudFacts) -> PackagesImage:
    """Compose the image for packages from that source, for containers of these facts."""
    settings = Settings.model_validate({"cloud": "local", "tier": "single", "package_source": source})
    plan = make_plan(settings, "webitel-packages", facts)
    return PackagesImage(compose_user_data(plan, plan.nodes[0], settings).sent)
