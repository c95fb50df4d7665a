"""HTTP towards a registry, or a server of any file: the only module that imports requests, and therefore imported where
first used.

Knows no images. Plain http goes to loopback hosts only, unless asked for; cookies and ~/.netrc to nobody, and an
Authorization header to no other origin than the one it was made for (distribution-spec, "Pulling blobs"). Every failure
of requests becomes a RegistryError with status 0.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Final, NoReturn
from urllib.parse import urljoin, urlsplit

import requests

from dockmagic.errors import RegistryError
from dockmagic.image.origin import check_url, check_web, is_loopback, origin

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 60.0
_CHUNK: Final = 1 << 17
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_REDIRECTS: Final = 5


class Answer:
    """A response whose body is still on the wire; closed by leaving its `with`."""

    def __init__(self, response: requests.Response, method: str) -> None:
        self._response = response
        self.method = method
        self.url = response.url
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers  # names in any case

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece as it arrives; raises RegistryError where it breaks off."""
        try:
            yield from self._response.iter_content(_CHUNK)
        except requests.RequestException as error:
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
        """Give the connection back; idempotent."""
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


class Transport:
    """A pool of connections; `close` ends them. Proxies and REQUESTS_CA_BUNDLE are taken from the environment.

    With `plain_http` every host may be asked without TLS.
    """

    def __init__(
        self,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        *,
        plain_http: bool = False,
    ) -> None:
        self._check = check_web if plain_http else check_url
        self._timeout = (connect_timeout_s, read_timeout_s)
        self._session = _Session()
        self._session.auth = _unchanged
        self._session.verify = ssl.get_default_verify_paths().cafile or True
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def request(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer to a request, redirects followed. Its status may be any; only a missing answer is an error."""
        sent = {"User-Agent": "dockmagic", "Accept-Encoding": "identity", **headers}
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._send(method, url, sent, form)
            if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                return Answer(response, method)
            response.close()
            target = _target(url, response.headers["Location"], method)
            if origin(target) != origin(url):
                sent.pop("Authorization", None)
            url = target
        raise RegistryError(f"{method} {url}: more than {_MOST_REDIRECTS} redirects", method=method, url=url)

    def close(self) -> None:
        """End all connections."""
        self._session.close()

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> requests.Response:
        self._check(url, method)
        proxies = {"no_proxy": "*"} if is_loopback(urlsplit(url).hostname or "") else None
        try:
            return self._session.request(
                method,
                url,
                headers=headers,
                data=form,
                stream=True,
                timeout=self._timeout,
                proxies=proxies,
            )
        except requests.RequestException as error:
            _fail(error, method, url)


def _target(url: str, location: str, method: str) -> str:
    """Where a redirect from `url` leads."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise RegistryError(f"{method} {url}: a redirect to no URL, {location!r}", method=method, url=url) from error


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authentication that adds nothing: it keeps requests from reading ~/.netrc and credentials in a URL."""
    return request


def _fail(error: requests.RequestException, method: str, url: str) -> NoReturn:
    """Raise the RegistryError that says what went wrong with the connection, and what to do."""
    reason = _root_cause(error)
    host = urlsplit(url).netloc
    if isinstance(error, requests.exceptions.SSLError):
        what = f"the identity of {host} can't be verified ({reason}); add its certificate authority to the system's"
    elif isinstance(error, requests.exceptions.ProxyError):
        what = f"the proxy to {host} can't be used ({reason}); check HTTPS_PROXY and NO_PROXY"
    elif isinstance(error, requests.exceptions.ChunkedEncodingError):
        what = f"the connection to {host} broke off ({reason}); try again"
    elif isinstance(error, requests.ConnectionError | requests.Timeout):
        what = f"{host} can't be reached ({reason}); check the name, the network and the proxy settings"
    else:
        what = f"{host} gave no usable answer ({reason})"
    raise RegistryError(f"{method} {url}: {what}", method=method, url=url) from error


def _root_cause(error: BaseException) -> str:
    """The words of the first error in the chain: the operating system's, where it has one."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
