"""Links to published ports that work where a notebook's page is: on this machine, or behind a JupyterHub. Pure.

Source: JupyterHub's reference, "Environment variables"; jupyter-server-proxy, "Accessing arbitrary ports".
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Final

from dockmagic.oci.ports import Published, place

_LOCAL: Final = ("0.0.0.0", "::", "127.0.0.1", "::1")
PREFIX: Final = "JUPYTERHUB_SERVICE_PREFIX"


def link(published: Published, environment: Mapping[str, str]) -> str:
    """URL of a port. Behind a hub only its proxy reaches this machine (jupyter-server-proxy).

    >>> link(Published(80, "tcp", "0.0.0.0", 8080), {}), link(Published(80, "tcp", "::", 8080), {PREFIX: "/user/ann/"})
    ('http://localhost:8080', '/user/ann/proxy/8080/')
    """
    local = published.host_ip in _LOCAL
    if prefix := environment.get(PREFIX):
        where = str(published.host_port) if local else place(published.host_ip, published.host_port)
        return f"{prefix.rstrip('/')}/proxy/{where}/"
    return f"http://{place('localhost' if local else published.host_ip, published.host_port)}"


def html_links(published: Iterable[Published], environment: Mapping[str, str]) -> list[str]:
    """Links to TCP ports, each place once."""
    names = {link(each, environment): each.name for each in published if each.protocol == "tcp"}
    return [
        f'<a href="{html.escape(url)}" target="_blank">{html.escape(url)}</a> → {html.escape(name)}'
        for url, name in names.items()
    ]
