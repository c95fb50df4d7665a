"""The distribution-spec's conformance suite, point by point, on our registry and on Debian's docker-registry.

What Debian's does otherwise is listed, with the reason; what isn't listed both do alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.client import HTTPException

import pytest

from dockmagic.events import ignore
from dockmagic.registry.api import Api
from dockmagic.registry.directory import Directory
from dockmagic.registry.server import Address, RegistryServer
from tests.conformance.registry_asking import Asking
from tests.conformance.registry_checks import CHECKS, WORKFLOW, fresh
from tests.conformance.registry_data import SETS, Data
from tests.integration.registry_fixture import running_registry

Check = Callable[[Asking], None]

DIFFERENT = {
    "check_empty": "there is no referrers API",
    "check_empty_referrers": "there is no referrers API",
    "check_push_blob_any": "what was pushed by a sha512 is announced by its sha256",
    "check_push_blob_post_only": "the body of the POST is ignored, and a PUT expected",
    "check_push_blob_patch_chunked": "Content-Range is ignored: a chunk out of its turn is taken",
    "check_push_blob_mount_anonymous": "without `from` nothing is mounted",
    "check_pull_blob": "a range that isn't there is refused with a wrong Content-Length",
    "check_range_that_ends_before_it_begins": "it is refused with a wrong Content-Length",
    "check_manifest_errors": "a malformed digest is an unknown error, with status 500",
    "check_unknown_parts": "the status is 400",
    "check_tag_pages": "tags come all at once",
}
ALWAYS = {"check_list", "check_delete"}  # there is no `last`, and a tag can't be deleted
NO_PUSH = ALWAYS | {"check_push", "check_head", "check_pull"}
DIFFERENT_STEPS = {
    "artifacts-with-subject": NO_PUSH | {"check_referrers"},  # there is neither OCI-Subject nor a list of referrers
    "index-with-subject": NO_PUSH | {"check_referrers"},
    "missing-subject": NO_PUSH | {"check_referrers"},
    "non-distributable-layers": NO_PUSH,  # their URLs have to be allowed by its settings
    "sha512": NO_PUSH - {"check_list"},  # documents have a sha256 only
    "tag-param": NO_PUSH,  # `?tag=` is ignored
    "tag-param-sha512": NO_PUSH,
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    content = Directory(tmp_path_factory.mktemp("ours"))
    with RegistryServer(Api(content), Address(), None, ignore, content.close) as server:
        ask = Asking(server.host)
        yield ask
        ask.close()


@pytest.fixture(scope="module")
def debians(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with running_registry(tmp_path_factory.mktemp("debians")) as registry:
        ask = Asking(registry.host)
        yield ask
        ask.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_ours(ours: Asking, check: Check) -> None:
    check(ours)


@pytest.mark.parametrize("name", SETS)
def test_what_is_pushed_to_ours(ours: Asking, name: str) -> None:
    assert failing_steps(ours, SETS[name]()) == set()


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_debians(debians: Asking, check: Check) -> None:
    if check.__name__ not in DIFFERENT:
        check(debians)
        return
    with pytest.raises((AssertionError, HTTPException)):
        check(debians)


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("name", SETS)
def test_what_is_pushed_to_debians(debians: Asking, name: str) -> None:
    assert failing_steps(debians, SETS[name]()) == DIFFERENT_STEPS.get(name, ALWAYS)


def failing_steps(ask: Asking, data: Data) -> set[str]:
    """Names of the steps that a registry does otherwise."""
    repository = fresh()
    failing: set[str] = set()
    for step in WORKFLOW:
        try:
            step(ask, data, repository)
        except (AssertionError, ValueError):
            failing.add(step.__name__)
    return failing
