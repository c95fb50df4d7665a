"""What the flags of a build come to."""

from __future__ import annotations

import pytest

from dockmagic.builder.flags import build_options
from dockmagic.errors import InvalidOption
from dockmagic.oci.descriptor import Platform

HOST = Platform("linux", "amd64")


@pytest.mark.parametrize("network", ["default", "none", "host"])
def test_networks_of_a_build(network: str) -> None:
    assert build_options({"network": network}, HOST).network == network


@pytest.mark.parametrize("network", ["container:web", "bridge", ""])
def test_a_network_that_a_step_can_t_have_is_refused(network: str) -> None:
    with pytest.raises(InvalidOption, match=f"--network {network}: RUN has"):
        build_options({"network": network}, HOST)
