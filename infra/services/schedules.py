"""Schedules of deployments, which are switched off until a person gives them their parameters and switches them on.

They are not in `prefect.yaml`: deploying again would set them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from infra.services.rest import PrefectAPI

SCHEDULES: Final = {
    "ingest": ("nightly", "0 3 * * *"),
    "backup": ("nightly", "0 3 * * *"),
    "train": ("weekly", "0 5 * * 0"),
    "gc": ("weekly", "0 1 * * 6"),
}
"""Name and cron expression (UTC) by deployment."""


def install_schedules(prefect: PrefectAPI, deployments: Mapping[str, str]) -> dict[str, bool]:
    """Give deployments the schedules that they lack; True for those that are new, by deployment and name.

    `deployments`: their ids by name. Raises OSError.
    """
    created = {}
    for deployment, (slug, cron) in SCHEDULES.items():
        path = f"deployments/{deployments[deployment]}/schedules"
        lacks = all(each["slug"] != slug for each in prefect.get(path))
        if lacks:
            schedule = {"cron": cron, "timezone": "UTC"}
            prefect.post(path, [{"schedule": schedule, "slug": slug, "active": False}])
        created[f"{deployment} {slug}"] = lacks
    return created
