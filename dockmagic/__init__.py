"""dockmagic: a container engine inside a Jupyter kernel.

One engine, four ways in, one definition of every command:

    magics/ cli         %container_run, %%dockerfile, %docker; `dockmagic run`      (IPython only here and in widgets/)
    commands/           a command once: argument parser + function on the engine
    widgets/            pictures: build steps, statistics, layers
    engine              Engine(root): Docker's verbs, typed results; neither prints nor knows IPython
    builder/ registry/  Dockerfile instructions to layers: context, plan, cache, execution; a registry served from here
    bundle/             any OCI bundle as a container of its own: the command line of an OCI runtime, dockmagic-oci
    image/ runtime/     images at rest: store, layers, registry; containers in motion: launcher, monitor, init
    oci/ dockerfile/ linux/ database events
                        the specifications' nouns; the language; one function a kernel call; one SQLite file
    errors              every error a user can cause

A module imports from the lines below its own only; a test holds it to that. The way of the data: the text of a cell
becomes nodes, instructions, a plan, and steps with cache keys; a step that misses runs on an overlay whose upper
directory becomes the layer; layers and a config become an image; image and options become a runtime spec, which a
launcher outside the kernel's process turns into namespaces, mounts, a cgroup and a process. What happens meanwhile is
reported upwards as events, what is there is read back as values, and only the doors show either.

    >>> from dockmagic import Engine
    >>> Engine.__name__
    'Engine'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dockmagic.engine import Engine

__all__ = ["Engine", "__version__", "load_ipython_extension", "unload_ipython_extension"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the engine at its first use, so that loading the extension stays quick."""
    if name == "Engine":
        from dockmagic.engine import Engine

        return Engine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """Add the magics to an IPython shell (`%load_ext dockmagic`); the engine is made at its first use."""
    from dockmagic.magics.extension import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics out again and close the engine; containers in the background go on."""
    from dockmagic.magics.extension import unload

    unload(shell)
