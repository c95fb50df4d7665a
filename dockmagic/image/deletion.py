"""Take manifests and tags out of a registry. Source: distribution-spec "Content Management"."""

from __future__ import annotations

from typing import Final

from dockmagic.errors import RegistryError
from dockmagic.image.exchange import expect
from dockmagic.image.registry import RegistryClient, address
from dockmagic.image.token import scope
from dockmagic.oci.reference import Reference

_DONE: Final = (200, 202, 204)
_UNABLE: Final = (400, 405)  # "MUST return 400 or 405 if tag deletion is disabled"


def delete(client: RegistryClient, reference: Reference) -> None:
    """Delete the tag, or the manifest of this digest with all its tags, in the registry itself.

    Raises RegistryError, which says what to do where the registry deletes nothing, or no tags.
    """
    endpoint = client.home(reference.registry)
    url = address(endpoint, reference, f"manifests/{reference.identifier}")
    scopes = (scope(reference.repository, "delete"),)

    def attempt() -> None:
        answer = client.exchange.send(endpoint, scopes, "DELETE", url, {})
        expect(answer, _DONE, reference, f"manifest for {reference.familiar}", "delete").close()

    try:
        client.exchange.patiently(attempt)
    except RegistryError as error:
        if error.status in _UNABLE:
            error.args = (f"{_unable(reference)}: {error}",)
        raise


def _unable(reference: Reference) -> str:
    """Why a registry may not do it, and what to do."""
    if reference.digest is not None:
        return f"{reference.registry} doesn't delete; its operator has to allow it (storage.delete.enabled)"
    return (
        f"{reference.registry} doesn't delete single tags; delete {reference.familiar_name}@DIGEST, which takes all "
        "tags of that image with it, where the registry's operator allows it (storage.delete.enabled)"
    )
