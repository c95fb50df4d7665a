"""The images of an engine: Docker's verbs on the store, and the ways that images come into it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dockmagic.errors import InvalidOption, InvalidReference, RegistryError
from dockmagic.events import BootstrapOutput, OnEvent, RegistryRetry, RegistryWarning, ignore
from dockmagic.image import inspect, removal
from dockmagic.image.hints import bootstrap_hint
from dockmagic.image.limits import DEFAULT_LIMITS, Limits
from dockmagic.image.platform import host_platform, platform_of, platform_option, suits
from dockmagic.image.registries import Registries
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.streams import Sink, Source
from dockmagic.image.tree import ImageTree, image_tree
from dockmagic.journal import NOWHERE, Journal
from dockmagic.oci.descriptor import Descriptor, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.reference import OFFICIAL, Reference

if TYPE_CHECKING:
    from dockmagic.image.archive_files import Archive
    from dockmagic.image.load import Loaded
    from dockmagic.image.offline import Offer
    from dockmagic.image.push import Pushed
    from dockmagic.image.registry import RegistryClient
    from dockmagic.image.remote import RemoteImage
    from dockmagic.image.remote_parts import RemotePart
    from dockmagic.image.search import Found

BASES: Final = ("busybox", "debian")
"""Images that `bootstrap` can make without a registry."""
InUse = Callable[[], Collection[str]]
Settings = Callable[[], Registries]


class Images:
    """The images of an engine."""

    def __init__(
        self,
        store: ImageStore,
        snapshots: Snapshots,
        registries: Settings,
        in_use: InUse,
        limits: Limits = DEFAULT_LIMITS,
        journal: Journal = NOWHERE,
    ) -> None:
        """`registries` gives the settings on registries; it is asked when one of them is needed.

        `in_use` gives the IDs of the images that running containers use; `limits` are for archives that are loaded,
        and `journal` takes what happens.
        """
        self._journal = journal
        self._limits = limits
        self._store = store
        self._snapshots = snapshots
        self._registries = registries
        self._in_use = in_use

    def ls(self) -> list[Image]:
        """All images, newest first."""
        return self._store.list_images()

    def get(self, name: str) -> Image:
        """The image with this reference, ID or beginning of an ID; raises NotFound."""
        return self._store.get(name)

    def pull(self, reference: str, on_event: OnEvent = ignore, platform: Platform | None = None) -> Image:
        """Fetch an image, for this machine or a platform; from an installed package, where one offers it.

        Raises RegistryError and what a bad image raises.
        """
        from dockmagic.image.pull import pull

        parsed = Reference.parse(reference)
        wanted = platform or host_platform()
        if (offered := self._from_package(parsed, wanted, on_event)) is not None:
            return offered
        try:
            with self._registry_client(on_event) as client:
                image = pull(
                    parsed,
                    client=client,
                    store=self._store,
                    snapshots=self._snapshots,
                    platform=wanted,
                    on_event=on_event,
                )
            self._store.whereabouts.note([layer.digest for layer in image.manifest.layers], parsed)
            self._note("pull", parsed.familiar, parsed.familiar_name)
            return image
        except RegistryError as error:
            if parsed.familiar.partition(":")[0] in BASES and not error.status:
                error.args = (f"{error}; or make a {parsed.familiar} here: {bootstrap_hint(parsed.familiar)}",)
            raise

    def remote(
        self,
        reference: str,
        *,
        platform: Platform | None = None,
        insecure: bool = False,
        on_event: OnEvent = ignore,
    ) -> RemoteImage:
        """Look at an image in its registry without pulling it; raises RegistryError and what a bad image raises.

        `insecure` allows the registry to be asked without TLS, or with a certificate of anybody's.
        """
        from dockmagic.image.remote import look

        parsed = Reference.parse(reference)
        with self._registry_client(on_event, parsed.registry if insecure else "") as client:
            return look(client, parsed, platform)

    def remote_parts(
        self, remote: RemoteImage, *, configs: bool = False, insecure: bool = False, on_event: OnEvent = ignore
    ) -> tuple[RemotePart, ...]:
        """The manifests of what was looked at, each with its platform, and with its config where that is wanted."""
        from dockmagic.image.remote_parts import parts_of

        with self._registry_client(on_event, remote.reference.registry if insecure else "") as client:
            return parts_of(client, remote, configs=configs)

    def tags(self, repository: str, on_event: OnEvent = ignore) -> tuple[str, ...]:
        """The tags of a repository in its registry, in natural order; raises InvalidReference, RegistryError."""
        from dockmagic.image.tags import list_tags

        with self._registry_client(on_event) as client:
            return list_tags(client, Reference.parse(repository))

    def catalog(self, registry: str, on_event: OnEvent = ignore) -> tuple[str, ...]:
        """The repositories of a registry, HOST or HOST:PORT, but Docker Hub.

        Raises InvalidReference, InvalidOption, RegistryError.
        """
        from dockmagic.image.tags import catalog

        any_name = Reference.parse(f"{registry}/any")
        if any_name.repository not in ("any", f"{OFFICIAL}any"):
            raise InvalidReference(f"{registry!r} is not a registry; expected HOST or HOST:PORT")
        with self._registry_client(on_event) as client:
            return catalog(client, any_name.registry)

    def referrers(self, reference: str, artifact_type: str = "", on_event: OnEvent = ignore) -> tuple[Descriptor, ...]:
        """What refers to an image in its registry, of one type or all: signatures, bills of materials …

        Raises RegistryError.
        """
        from dockmagic.image.referrers import referrers

        with self._registry_client(on_event) as client:
            return referrers(client, Reference.parse(reference), artifact_type)

    def delete_remote(self, reference: str, on_event: OnEvent = ignore) -> str:
        """Delete a tag, or by digest a manifest with all its tags, in its registry; what was done, as a line.

        Raises RegistryError.
        """
        from dockmagic.image.deletion import delete

        parsed = Reference.parse(reference)
        with self._registry_client(on_event) as client:
            delete(client, parsed)
        return f"{'Untagged' if parsed.digest is None else 'Deleted'}: {parsed.familiar}"

    def search(self, term: str, limit: int = 25, on_event: OnEvent = ignore) -> tuple[Found, ...]:
        """Repositories that Docker Hub, or the registry HOST of "HOST/term", finds; raises RegistryError."""
        from dockmagic.image.search import search

        with self._registry_client(on_event) as client:
            return search(client, term, limit)

    def push(
        self, reference: str, on_event: OnEvent = ignore, *, all_tags: bool = False, platform: Platform | None = None
    ) -> tuple[Pushed, ...]:
        """Bring an image, byte for byte, into the registry that its name says, or all tags of a repository.

        Raises NotFound, InvalidOption where it isn't for this `platform`, InvalidReference, RegistryError, StoreError.
        """
        from dockmagic.image.push import chosen, push

        with self.kept(), self._registry_client(on_event) as client:
            items = chosen(self._store, reference, all_tags=all_tags, platform=platform)
            pushed = push(items, client=client, store=self._store, on_event=on_event)
        for each in pushed:
            self._note("push", each.reference.familiar, each.reference.familiar_name)
        return pushed

    def push_artifact(self, reference: Reference, manifest: bytes, on_event: OnEvent = ignore) -> Pushed:
        """Push a manifest whose blobs are in the store, under this name; raises what a push raises."""
        from dockmagic.image.push import push_artifact

        with self._registry_client(on_event) as client:
            return push_artifact(reference, manifest, client=client, store=self._store, on_event=on_event)

    @contextmanager
    def artifact(self, reference: Reference, place: Path, on_event: OnEvent = ignore) -> Iterator[Archive]:
        """What a name stands for in its registry, as files of a layout, with the directory `place` to put them."""
        from dockmagic.image.registry_archive import RegistryArchive

        with self._registry_client(on_event) as client:
            yield RegistryArchive(reference, client, self._store, place, on_event)

    def _from_package(self, reference: Reference, platform: Platform, on_event: OnEvent) -> Image | None:
        """The image out of an installed package, None where none offers it."""
        from dockmagic.image.offline import find_offer, take

        offer = find_offer(reference, platform) if self._registries().packages else None
        if offer is None:
            return None
        return take(
            offer, reference, store=self._store, snapshots=self._snapshots, platform=platform, on_event=on_event
        )

    def offline(self) -> list[Offer]:
        """The images that installed packages offer; a pull takes them without any network."""
        from dockmagic.image.offline import offers

        return offers()

    def wheel(self, names: Sequence[str], directory: Path, *, name: str = "", version: str = "") -> Path:
        """Write these images as a Python package that can be installed; the wheel's path.

        The package is named after the first image, unless told else. Raises NotFound, InvalidOption, StoreError.
        """
        from dockmagic.image.selection import select
        from dockmagic.image.wheel import package_of, write_wheel

        with self.kept():
            images = select(self._store, names)
            return write_wheel(images, package_of(images, name, version), self._store, directory)

    @contextmanager
    def _registry_client(self, on_event: OnEvent = ignore, insecure: str = "") -> Iterator[RegistryClient]:
        """A client with the user's settings and credentials as they are now; `insecure` is one more such host."""
        from dockmagic.image.accounts import Accounts
        from dockmagic.image.registry import RegistryClient

        accounts = Accounts(self._registries, os.environ, Path.home())
        settings = self._registries()
        client = RegistryClient(
            credentials_of=accounts.find,
            registries=replace(settings, insecure=settings.insecure | {insecure}) if insecure else settings,
            on_warning=lambda registry, message: on_event(RegistryWarning(registry, message)),
            on_retry=lambda error, pause_s: on_event(RegistryRetry(str(error), pause_s)),
        )
        try:
            yield client
        finally:
            client.close()

    def find_or_pull(
        self, name: str, on_event: OnEvent = ignore, platform: Platform | None = None, *, newest: bool = False
    ) -> Image:
        """The image with this name, fetched first where it isn't here; raises what a pull raises.

        With a `platform`, one for that, and what the name stood for here it goes on standing for. `newest` asks the
        registry in any case.
        """
        found = self._store.find(name)
        suited = found is not None and (platform is None or suits(platform_of(found.config), platform))
        if found is not None and suited and not newest:
            return found
        try:
            image = self.pull(name, on_event, platform)
            if found is not None and not suited:
                self._store.tag(found.id, name)
            return image
        except RegistryError as error:
            error.args = (f"there is no image {name} here, and it can't be pulled: {error}",)
            raise

    def kept(self) -> AbstractContextManager[None]:
        """While this is held, nobody takes layers out of the store: an image that was found stays whole."""
        return self._store.workspaces.hold()

    def tag(self, source: str, target: str) -> None:
        """Give an image one more name."""
        image_id = self._store.get(source).id
        self._note("tag", image_id, self._store.tag(source, target).familiar)

    def rm(self, name: str, force: bool = False) -> list[str]:
        """Untag or delete an image; what was done, a line each. Raises NotFound, Conflict."""
        image_id = self._store.id_of(name)
        lines = self._store.remove(name, force, [Digest(each) for each in self._in_use()])
        for action in removal.actions(lines, image_id):
            self._note(action, image_id, image_id)
        return lines

    def save(self, names: Sequence[str], out: Sink, *, platform: str = "") -> None:
        """Write these images as the archive that `docker save` writes; raises NotFound, InvalidOption, StoreError."""
        from dockmagic.image.archive_write import save_docker
        from dockmagic.image.selection import select

        wanted = platform_option(platform) if platform else None
        with self.kept():
            chosen = select(self._store, names, wanted)
            save_docker(chosen, self._store, out)
        for image_id in dict.fromkeys(item.image.id for item in chosen):
            self._note("save", image_id, image_id)

    def load(self, source: Source | Path, *, platform: str = "", on_event: OnEvent = ignore) -> list[Loaded]:
        """Take the images of an archive, or of an OCI layout's directory, into the store: all of them, or none.

        Raises InvalidManifest, DigestMismatch, InvalidLayer, StoreError.
        """
        from dockmagic.image.load import load

        wanted = platform_option(platform) if platform else None
        try:
            loaded = load(
                source,
                store=self._store,
                snapshots=self._snapshots,
                platform=wanted,
                limits=self._limits,
                on_event=on_event,
            )
        except BaseException:
            self._store.collect()
            raise
        for each in loaded:
            self._note("load", each.image.id, each.image.id)
        return loaded

    def _note(self, action: str, id: str, name: str) -> None:
        """Write an event of an image down."""
        self._journal.write("image", action, id, {"name": name})

    def import_(
        self,
        source: str | Path | Source,
        reference: str = "",
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: str = "",
        on_event: OnEvent = ignore,
    ) -> Image:
        """Make an image of a root file system in a tar archive: a file, what a URL names, or a stream.

        `changes` are instructions of a Dockerfile. Raises InvalidOption, InvalidReference, InvalidLayer, StoreError.
        """
        from dockmagic.builder.changes import changed_by
        from dockmagic.builder.root_archive import is_url, opened_archive
        from dockmagic.image.import_root import import_root
        from dockmagic.image.meter import Meter, MeteredSource

        name = Reference.parse(reference) if reference else None
        config = changed_by(ContainerConfig(), changes)
        wanted = platform_option(platform) if platform else host_platform()
        try:
            with opened_archive(source, self._store.workspaces) as archive:
                return import_root(
                    MeteredSource(archive, Meter(f"importing {reference or 'an image'}", on_event)),
                    store=self._store,
                    snapshots=self._snapshots,
                    platform=wanted,
                    config=config,
                    message=message or f"Imported from {source if is_url(source) else '-'}",
                    reference=name,
                    limits=self._limits,
                )
        except BaseException:
            self._store.collect()
            raise

    def tree(self, name: str) -> ImageTree:
        """The image's layers, and what each did to the files."""
        return image_tree(self.get(name), self._snapshots)

    def inspect(self, name: str) -> dict[str, Any]:
        """The image in the JSON shape of Docker."""
        return inspect.document(self.get(name))

    def bootstrap(self, name: str, on_event: OnEvent = ignore) -> Image:
        """Make one of BASES without a registry; raises InvalidOption for another name, Unsupported, BuildError."""
        from dockmagic.image.bootstrap import bootstrap_busybox
        from dockmagic.image.bootstrap_debian import bootstrap_debian

        def on_line(line: str) -> None:
            on_event(BootstrapOutput(line))

        base, _, suite = name.partition(":")
        if name in ("busybox", "busybox:latest"):
            return bootstrap_busybox(self._store, self._snapshots, on_line=on_line)
        if base == "debian":
            return bootstrap_debian(self._store, self._snapshots, suite=suite or "bookworm", on_line=on_line)
        raise InvalidOption(f"can't bootstrap {name!r}: choose one of {', '.join(BASES)}; pull anything else")
