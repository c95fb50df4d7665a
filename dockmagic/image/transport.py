"""HTTP towards a registry, or a server of any file: with `connections` the only module that imports requests, and
therefore imported where first used.

Knows no images. Plain http goes to loopback hosts only, unless asked for; cookies and ~/.netrc to nobody, and an
Authorization header to no other origin than the one it was made for (distribution-spec, "Pulling blobs"). Every failure
of requests becomes a RegistryError with status 0, which says whether it may pass.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Final, NoReturn, Protocol
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError
from urllib3.exceptions import SSLError as PoolSSLError

from dockmagic.errors import RegistryError
from dockmagic.image.configuration import DOCKER_CERTIFICATES
from dockmagic.image.connections import Adapter, Sockets
from dockmagic.image.origin import check_url, check_web, is_among, origin
from dockmagic.image.proxy import proxy_for
from dockmagic.image.retry import Timeouts

_TIMEOUTS: Final = Timeouts()
_CHUNK: Final = 1 << 18
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_REDIRECTS: Final = 5
_BROKEN_OFF: Final = (requests.exceptions.ChunkedEncodingError, ProtocolError)
_PASSING: Final = (requests.ConnectionError, requests.Timeout, ReadTimeoutError, *_BROKEN_OFF)
_UNTRUSTED: Final = (requests.exceptions.SSLError, PoolSSLError)
_LASTING: Final = (*_UNTRUSTED, requests.exceptions.ProxyError)
_CUT: Final = (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead)  # RemoteDisconnected is a reset, too
_LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe over TLS: `authority` is a file of certificates in place of the system's, and `client` our own
    certificate and its key; `verify` False believes anybody.
    """

    authority: str = ""
    client: tuple[str, str] | None = None
    verify: bool = True


Form = Mapping[str, str]


class Body(Protocol):
    """What a request brings: bytes, of a number known beforehand; each time from the beginning, since a request may be
    sent twice.
    """

    def __len__(self) -> int:
        """How many bytes there are."""

    def __iter__(self) -> Iterator[bytes]:
        """All of them, piece by piece; raises a DockmagicError where they can't be had."""


class Answer:
    """A response whose body is still on the wire; closed by leaving its `with`."""

    def __init__(self, response: requests.Response, method: str) -> None:
        self._response = response
        self.method = method
        self.url = response.url
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers  # names in any case

    @property
    def is_delimited(self) -> bool:
        """Whether the end of the body can be told from a connection that broke off."""
        is_chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        return is_chunked or self.headers.get("Content-Length", "").replace(", ", "").isdecimal()

    def chunks(self) -> Iterator[bytes]:
        """The body without its content encoding, piece by piece; raises RegistryError where it breaks off."""
        return self._guarded(self._response.iter_content(_CHUNK))

    def stored_chunks(self) -> Iterator[bytes]:
        """The body as it is sent, whatever encoding it is said to have, as soon as there is some of it.

        Raises RegistryError where it breaks off. Then nothing that came before is lost.
        """
        raw = self._response.raw
        return self._guarded(iter(lambda: raw.read1(_CHUNK, decode_content=False), b""))

    def _guarded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """These pieces; a failure is a RegistryError."""
        try:
            yield from pieces
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:  # the last where we broke it off
            _fail(error, self.method, self.url)

    def read(self, limit: int) -> bytes:
        """The whole body; raises RegistryError where it is longer than `limit` bytes."""
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                message = f"{self.method} {self.url}: the answer is longer than the {limit} bytes that are allowed"
                raise RegistryError(message, method=self.method, url=self.url, status=self.status)
        return bytes(body)

    def close(self) -> None:
        """Give the connection back if nothing is left to read, else end it; idempotent."""
        if self._response.raw.length_remaining == 0:
            self._response.raw.drain_conn()
        self._response.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Session(requests.Session):
    """Leaves redirects alone: their bodies aren't read, and where they lead is for Transport to judge."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: there is nothing to follow."""


def _anybody(host: str) -> Trust:
    """The same trust for every host: what the system trusts."""
    return Trust()


class Transport:
    """A pool of connections; `close` ends them. Proxies and REQUESTS_CA_BUNDLE are taken from the environment.

    With `plain_http` every host may be asked without TLS, else only those in `insecure` (HOST or HOST:PORT). `trust`
    gives what holds for a host and port. Any thread may call any method.
    """

    def __init__(
        self,
        timeouts: Timeouts = _TIMEOUTS,
        *,
        plain_http: bool = False,
        insecure: frozenset[str] = frozenset(),
        trust: Callable[[str], Trust] = _anybody,
    ) -> None:
        self._plain_http = plain_http
        self._insecure = insecure
        self._trust = trust
        self._timeout = (timeouts.connect_s, timeouts.read_s)
        self._sockets = Sockets()
        self._session = _Session()
        self._session.auth = _unchanged
        self._session.verify = ssl.get_default_verify_paths().cafile or True
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for prefix in ("http://", "https://"):
            self._session.mount(prefix, Adapter(self._sockets))

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        form: Form | None = None,
        body: Body | bytes | None = None,
    ) -> Answer:
        """The answer to a request, redirects followed. Its status may be any; only a missing answer is an error.

        A form, which holds secrets, is never sent to another origin.
        """
        sent = {"User-Agent": "dockmagic", "Accept-Encoding": "identity", **headers}
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._send(method, url, sent, form if body is None else body)
            if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                return Answer(response, method)
            response.close()
            target = _target(url, response.headers["Location"], method)
            self._check_redirect(url, target, method)
            if origin(target) != origin(url):
                sent.pop("Authorization", None)
                if form is not None:
                    message = f"{method} {url}: refused to send a secret on to {target}, another host"
                    raise RegistryError(message, method=method, url=url)
            url = target
        raise RegistryError(f"{method} {url}: more than {_MOST_REDIRECTS} redirects", method=method, url=url)

    def break_off(self) -> None:
        """Let every request that is under way fail now; later ones connect anew."""
        self._sockets.break_off()

    def close(self) -> None:
        """End all connections."""
        self._session.close()

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], data: Form | Body | bytes | None
    ) -> requests.Response:
        self._check(url, method)
        parts = urlsplit(url)
        trust = self._trust(parts.netloc.rpartition("@")[2])
        try:
            return self._session.request(
                method,
                url,
                headers=headers,
                data=data,
                stream=True,
                timeout=self._timeout,
                proxies=_proxies(url),
                verify=(trust.authority or None) if trust.verify else False,
                cert=trust.client,
            )
        except (requests.RequestException, OSError, ValueError) as error:
            _fail(error, method, url)

    def _check_redirect(self, url: str, target: str, method: str) -> None:
        """Raise RegistryError where a redirect gives up TLS, unless it's to a host that was declared insecure."""
        parts = urlsplit(target)
        given_up = url.lower().startswith("https:") and parts.scheme == "http"
        if given_up and not self._plain_http and not is_among(parts.netloc, self._insecure):
            message = f"{method} {url}: refused to be sent on from https to plain http, {target}"
            raise RegistryError(message, method=method, url=url)

    def _check(self, url: str, method: str) -> None:
        """Raise RegistryError unless the URL may be asked."""
        if self._plain_http:
            check_web(url, method)
        else:
            check_url(url, method, self._insecure)


def _proxies(url: str) -> dict[str, str]:
    """The proxy to ask, for requests, which otherwise reads the environment in a way of its own."""
    proxy = proxy_for(url, os.environ)
    return {"no_proxy": "*"} | ({"http": proxy, "https": proxy} if proxy else {})


def _target(url: str, location: str, method: str) -> str:
    """Where a redirect from `url` leads."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise RegistryError(f"{method} {url}: a redirect to no URL, {location!r}", method=method, url=url) from error


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authentication that adds nothing: it keeps requests from reading ~/.netrc and credentials in a URL."""
    return request


def _fail(error: Exception, method: str, url: str) -> NoReturn:
    """Raise the RegistryError that says what went wrong with the connection, and what to do."""
    cause = _root_cause(error)
    reason = _words(cause)
    host = urlsplit(url).netloc
    place = f"{DOCKER_CERTIFICATES}/{host}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        what = f"the identity of {host} can't be verified ({reason}); put its certificate authority in {place}/ca.crt"
    elif isinstance(error, _UNTRUSTED):
        what = f"no TLS with {host} ({reason}); if it wants a certificate of ours, put client.cert and .key in {place}"
    elif isinstance(error, requests.exceptions.ProxyError):
        what = f"the proxy to {host} can't be used ({reason}); check HTTPS_PROXY and NO_PROXY"
    elif isinstance(error, _BROKEN_OFF) or isinstance(cause, _CUT):
        what = f"the connection to {host} broke off ({reason}); try again"
    elif isinstance(error, _PASSING) and not isinstance(cause, http.client.HTTPException):
        what = f"{host} can't be reached ({reason}); check the name, the network and the proxy settings"
    else:
        what = f"{host} gave no usable answer ({reason})"
    unknown_name = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME
    passing = isinstance(error, _PASSING) and not isinstance(error, _LASTING) and not unknown_name
    raise RegistryError(f"{method} {url}: {what}", method=method, url=url, passing=passing) from error


def _root_cause(error: BaseException) -> BaseException:
    """The first error in the chain: the operating system's, where it has one."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _words(error: BaseException) -> str:
    """What an error says, in short."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return words[:_LONGEST_REASON]
