from __future__ import annotations

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.image.auth import Credentials, names_for, registry_of


@pytest.mark.parametrize(
    ("server", "registry"),
    [
        ("", "docker.io"),
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("registry.example", "registry.example"),
        ("https://registry.example:5000/v2/", "registry.example:5000"),
        ("registry.example/team/app", "registry.example"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_a_server_is_known_by_its_host(server: str, registry: str) -> None:
    assert registry_of(server) == registry


@pytest.mark.parametrize("server", ["https://", "a b", "-x", "host:port", "/path", "ann@host", "host:123456"])
def test_what_names_no_host_is_refused(server: str) -> None:
    with pytest.raises(InvalidOption, match="is no registry; expected HOST or HOST:PORT"):
        registry_of(server)


def test_names_begin_with_the_narrowest() -> None:
    assert names_for("r.example", "") == ("r.example",)
    assert names_for("docker.io", "library/busybox") == ("docker.io/library/busybox", "docker.io/library", "docker.io")


def test_secrets_stay_out_of_representations() -> None:
    assert "secret" not in repr(Credentials("ann", "secret", "secret", "secret"))
