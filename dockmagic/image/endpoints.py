"""Where repositories are served: mirrors and registries, over https where they speak it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dockmagic.errors import RegistryError
from dockmagic.image.auth import DOCKER_HUB
from dockmagic.image.configuration import certificates_of
from dockmagic.image.origin import is_among, is_loopback
from dockmagic.image.registries import Registries
from dockmagic.image.retry import Timeouts
from dockmagic.image.token import Endpoint
from dockmagic.oci.reference import Reference

if TYPE_CHECKING:
    from dockmagic.image.transport import Transport, Trust

_TIMEOUTS: Final = Timeouts()
HUB_URL: Final = "https://registry-1.docker.io"


class Endpoints:
    """The endpoints of registries; asks a host once whether it speaks TLS where plain http is allowed too."""

    def __init__(self, registries: Registries, timeouts: Timeouts = _TIMEOUTS) -> None:
        self._registries = registries
        self._timeouts = timeouts
        self._schemes: dict[str, str] = {}
        self._trusts: dict[str, Trust] = {}
        self._lock = threading.Lock()

    def transport(self) -> Transport:
        """A new transport that keeps to the settings."""
        from dockmagic.image.transport import Transport

        return Transport(self._timeouts, insecure=self._registries.insecure, trust=self._trust)

    def readable(self, reference: Reference, transport: Transport) -> tuple[Endpoint, ...]:
        """Where to read, in order: the mirrors, and the registry itself at last."""
        registry = reference.registry
        mirrors = [
            Endpoint(url.rstrip("/"), urlsplit(url).netloc, registry)
            for url in self._registries.mirrors.get(registry, ())
        ]
        return (*mirrors, self.home(registry, transport))

    def home(self, registry: str, transport: Transport) -> Endpoint:
        """The registry itself."""
        if registry == DOCKER_HUB:
            return Endpoint(HUB_URL, DOCKER_HUB)
        with self._lock:
            if registry not in self._schemes:
                self._schemes[registry] = self._scheme(registry, transport)
        return Endpoint(f"{self._schemes[registry]}://{registry}", registry)

    def _scheme(self, registry: str, transport: Transport) -> str:
        """https, unless plain http is allowed and the host doesn't speak TLS."""
        if self._trust(registry).verify:
            return "https"
        try:
            transport.request("GET", f"https://{registry}/v2/", {}).close()
        except RegistryError:
            return "http"
        return "https"

    def _trust(self, host: str) -> Trust:
        """Whom to believe at HOST:PORT: on this machine and on insecure hosts anybody, if no certificate is known."""
        from dockmagic.image.transport import Trust

        if host not in self._trusts:
            files = {name: str(path) for name, path in certificates_of(host, self._registries).items()}
            client = (files["client.cert"], files["client.key"]) if "client.cert" in files else None
            lax = is_loopback(urlsplit(f"//{host}").hostname or "") or is_among(host, self._registries.insecure)
            self._trusts[host] = Trust(files.get("ca.crt", ""), client, verify="ca.crt" in files or not lax)
        return self._trusts[host]
