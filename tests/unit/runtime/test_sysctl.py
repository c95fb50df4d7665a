"""Which kernel parameters a container may set, and where they are."""

from __future__ import annotations

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.runtime.sysctl import check, path_of


@pytest.mark.parametrize(
    "name", ["net.core.somaxconn", "kernel.msgmax", "kernel.sem", "kernel.shm_rmid_forced", "fs.mqueue.msg_max"]
)
def test_parameters_of_a_containers_namespaces(name: str) -> None:
    check(name, host_network=False)


@pytest.mark.parametrize("name", ["kernel.hostname", "vm.swappiness", "fs.file-max", "kernel.shm", "network.x", ""])
def test_parameters_of_the_host(name: str) -> None:
    with pytest.raises(InvalidOption, match="isn't in a namespace of the container's own"):
        check(name, host_network=False)


def test_parameters_of_a_namespace_that_is_the_hosts() -> None:
    with pytest.raises(InvalidOption, match="--network host"):
        check("net.core.somaxconn", host_network=True)
    with pytest.raises(InvalidOption, match="--ipc host"):
        check("kernel.sem", host_network=False, host_ipc=True)


def test_a_name_leads_nowhere_else() -> None:
    assert path_of("net.ipv4.conf.eth0/1.rp_filter") == "net/ipv4/conf/eth0.1/rp_filter"
    assert ".." not in path_of("net.////.kernel.hostname").split("/")
