"""A monitor before its container: it keeps a sandbox ready for whoever comes first."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dockmagic.linux import process as p
from dockmagic.oci.defaults import NAMESPACES
from dockmagic.runtime import links, request
from dockmagic.runtime.sandbox import Sandbox, Site, make
from dockmagic.runtime.shared_memory import shared
from dockmagic.runtime.stage import Failed, stage
from dockmagic.runtime.starting import rehearse


class Waiting:
    """A sandbox of the usual kind, or the reason why there is none, which the first who wants it will be told."""

    def __init__(self, site: Site, *, linked: bool) -> None:
        """Make it, with a link to the host where it is to be `linked`."""
        self._site = site
        self._sandbox: Sandbox | None = None
        self._failure: Failed | None = None
        try:
            self._sandbox = make(site, NAMESPACES)
            if linked:
                link = links.park(self._sandbox.network, request.root_key(site.state_root))
                self._sandbox = replace(self._sandbox, link=link)
            rehearse(self._sandbox, site.run_dir)
        except Failed as error:
            self._failure = error

    def accept(self, starts: socket.socket) -> socket.socket:
        """Wait for a connection. Until then this process goes with the launcher, or when that shuts the socket."""
        try:
            connection, _ = starts.accept()
        except OSError:
            self.dismiss()
            os._exit(0)
        p.prctl(p.PR_SET_PDEATHSIG, 0)
        return connection

    def sandbox_for(self, asked: request.StartRequest, joined: Mapping[str, int]) -> Sandbox:
        """The sandbox, another one made where other namespaces are asked for or it was killed; raises Failed.

        `joined` are as for `make_joined`.
        """
        if self._failure is not None:
            raise self._failure
        assert self._sandbox is not None
        if not joined and asked.namespaces == self._sandbox.namespaces and self._sandbox.alive():
            return self._sandbox
        self._sandbox.discard()
        return make_joined(self._site, asked.namespaces, joined)

    def dismiss(self) -> None:
        """Do away with the sandbox."""
        if self._sandbox is not None:
            self._sandbox.discard()


def make_joined(site: Site, namespaces: Sequence[str], joined: Mapping[str, int]) -> Sandbox:
    """A new sandbox that is in namespaces of other containers, too, whose descriptors are closed; raises Failed.

    They are by kind, with "shm" the mount namespace that the shared memory is in.
    """
    others = dict(joined)
    memory = others.pop("shm", -1)
    return replace(make(site, namespaces, others), shared_memory=_shared_memory(memory))


def _shared_memory(namespace: int) -> int:
    """A copy of the mount in that mount namespace, which is closed; -1 for -1. Raises Failed."""
    if namespace < 0:
        return -1
    try:
        with stage("mounts", "copy the shared memory of the other container"):
            return shared(namespace)
    finally:
        os.close(namespace)
