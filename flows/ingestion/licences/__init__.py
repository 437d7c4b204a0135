"""Licences: one name for each, however it was stated, and the policy that says which are allowed.

`licence_name` gives the SPDX name of a stated licence where there is one, `licence_url` its page, and a
`LicencePolicy` decides which files may be used.
"""

from flows.ingestion.licences.names import UNSTATED, licence_name, licence_url
from flows.ingestion.licences.policy import LicencePattern, LicencePolicy, allowed

__all__ = ["UNSTATED", "LicencePattern", "LicencePolicy", "allowed", "licence_name", "licence_url"]
