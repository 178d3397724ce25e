"""The load balancers and virtual IPs of this scenario."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def lbs(group):
    return group("balancers")


@pytest.fixture(scope="session")
def vips(variables):
    """The addresses by the names of their VRRP instances."""
    return {vip["name"]: vip["address"].partition("/")[0] for vip in variables["mycat_ha_vips"]}
