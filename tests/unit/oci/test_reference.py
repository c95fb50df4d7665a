from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.errors import InvalidReference
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference

SHA = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("Docker.IO/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("alice/app", "docker.io/alice/app:latest", "alice/app:latest"),
        ("library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("docker.io/localhost/b", "docker.io/localhost/b:latest", "docker.io/localhost/b:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x"),
        ("Host/app", "Host/app:latest", "Host/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        ("a__b/c--d.e_f", "docker.io/a__b/c--d.e_f:latest", "a__b/c--d.e_f:latest"),
        ("app:_X-1.2", "docker.io/library/app:_X-1.2", "app:_X-1.2"),
        (f"app:{'t' * 128}", f"docker.io/library/app:{'t' * 128}", f"app:{'t' * 128}"),
        (f"busybox@{SHA}", f"docker.io/library/busybox@{SHA}", f"busybox@{SHA}"),
        (f"busybox:1.36@{SHA}", f"docker.io/library/busybox@{SHA}", f"busybox@{SHA}"),
    ],
)
def test_normal_form(text: str, canonical: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == canonical
    assert reference.familiar == familiar
    assert Reference.parse(canonical) == reference == Reference.parse(familiar)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "repository name is missing"),
        ("Busybox", "must be lower case; did you mean 'busybox'"),
        ("alice/App:1", "must be lower case; did you mean 'alice/app'"),
        ("a b", "'a b' can't be part"),
        ("-a", "'-a' can't be part"),
        ("a..b", "can't be part"),
        ("a___b", "can't be part"),
        ("a//b", "'' can't be part"),
        ("/a", "'' can't be part"),
        ("a/", "'' can't be part"),
        ("ghcr.io/", "repository name is missing"),
        ("../x", "not a registry's host name"),
        ("http://host/x", "not a registry's host name"),
        ("host:port/x", "not a registry's host name"),
        ("app:", "'' is not a tag"),
        ("app:.x", "'.x' is not a tag"),
        ("app:a b", "is not a tag"),
        (f"app:{'t' * 129}", "at most 128"),
        ("app\n", "can't be part"),
        ("app@", "not a digest"),
        ("app@sha256:12", "use sha256 or sha512"),
        (f"app@{SHA.upper()}", "not a digest"),
        (SHA.removeprefix("sha256:"), "image ID"),
        ("a/" * 128 + "b", "longer than 255"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert says in str(caught.value)
    assert repr(text) in str(caught.value)


def test_default_tag_only_where_nothing_is_said() -> None:
    assert Reference.parse("app", default_tag="edge").tag == "edge"
    assert Reference.parse("app:1", default_tag="edge").tag == "1"
    assert Reference.parse(f"app@{SHA}", default_tag="edge").tag == ""


def test_identifier_is_what_a_registry_is_asked_for() -> None:
    assert Reference.parse("app:1").identifier == "1"
    assert Reference.parse(f"app:1@{SHA}").identifier == Digest(SHA)


COMPONENT = st.from_regex(r"[a-z0-9]+(?:(?:\.|_|__|-{1,2})[a-z0-9]+){0,2}", fullmatch=True).filter(
    lambda c: len(c) < 60
)
REGISTRY = st.sampled_from(["docker.io", "localhost", "localhost:5000", "ghcr.io", "10.0.0.1:80", "Host"])
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)


@given(REGISTRY, st.lists(COMPONENT, min_size=1, max_size=3), TAG)
def test_every_form_of_a_reference_means_the_same(registry: str, components: list[str], tag: str) -> None:
    reference = Reference.parse(f"{registry}/{'/'.join(components)}:{tag}")
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        return
    assert Reference.parse(str(reference)) == reference
