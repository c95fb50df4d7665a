"""How fast containers' networks are, and how soon a web server answers, here and with podman and slirp4netns.

    python -m tests.benchmarks.network [--rounds 5] [--json FILE]

Throughput is iperf3's, one connection, to a server in a container: from another container, and through a published port
at an address of the host and at its loopback. The time is from the call that starts a web server in a container to its
first answer through a published port. All are measured in turn, in a network namespace of this program's own. Prints
medians and writes all values as JSON; it passes or fails on nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dockmagic.linux.process import CLONE_NEWNET, unshare
from tests.benchmarks import peers, private_view
from tests.benchmarks.network_peers import CLIENT, HOST, PORT, PROGRAMS, Dockmagic, Peer, Podman, slirp
from tests.benchmarks.results import write

if TYPE_CHECKING:
    from dockmagic.engine import Engine

RESULTS: Final = Path(__file__).parent / "results" / "network.json"
SLIRP_PORT: Final = 20003
FIRST_WEB_PORT: Final = 21000

Values = dict[str, list[float]]


def enter_network() -> None:
    """Move this process, of one thread, to a network namespace where the host has an address beside the loopback's."""
    unshare(CLONE_NEWNET)
    for words in (
        "link set lo up",
        "link add outer type veth peer name inner",
        f"addr add {HOST}/24 dev outer",
        "link set outer up",
        "link set inner up",
        "route add default via 198.51.100.254",
    ):
        subprocess.run(["ip", *words.split()], check=True)


def throughput(client: Sequence[str], address: str, port: int) -> float:
    """Gbit/s that the server receives."""
    done = subprocess.run([*client, address, "-p", str(port)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{address}:{port}: {json.loads(done.stdout).get('error', done.stdout)}")
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]) / 1e9


def runs(found: Sequence[Peer]) -> Iterator[tuple[str, Callable[[], float]]]:
    """Names and measurements of throughput."""
    for peer in found:
        client, address = peer.client(), peer.address()
        if client and address:
            yield f"{peer.name}, container to container", partial(throughput, client, address, PORT)
        yield f"{peer.name}, published port", partial(throughput, CLIENT, HOST, peer.port)
        yield f"{peer.name}, published port at the loopback", partial(throughput, CLIENT, "127.0.0.1", peer.port)
    yield "slirp4netns, port at the loopback", partial(throughput, CLIENT, "127.0.0.1", SLIRP_PORT)


def first_answer(peer: Peer, port: int) -> float:
    """Milliseconds from the start of a web server to its first answer."""
    begin = time.perf_counter()
    peer.web(port)
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                answer.read()
                break
        time.sleep(0.0002)
    taken = (time.perf_counter() - begin) * 1000
    peer.end_web()
    time.sleep(0.2)
    return taken


def end_all(engine: Engine) -> None:
    """End all containers."""
    for each in engine.containers.ls():
        each.rm(force=True)


def measure(directory: Path, rounds: int) -> Mapping[str, Values]:
    """Throughput in Gbit/s and times in ms, by name."""
    from dockmagic.engine import Engine

    speeds: Values = {}
    times: Values = {}
    with Engine(directory / "state") as engine, contextlib.ExitStack() as stack:
        image = engine.images.bootstrap("busybox")
        base = peers.podman_store(Path(engine.snapshots.lower(image.config.diff_ids)[0]), directory)
        found: list[Peer] = [Dockmagic(engine), Podman(base)]
        stack.callback(lambda: subprocess.run([*base, "rm", "-f", "-a", "-t", "0"], capture_output=True))
        stack.callback(end_all, engine)
        stack.enter_context(slirp(directory, SLIRP_PORT))
        time.sleep(1)
        for number in range(rounds):
            for name, run in runs(found):
                speeds.setdefault(name, []).append(run())
            for peer in found:
                times.setdefault(f"{peer.name}, first answer", []).append(first_answer(peer, FIRST_WEB_PORT + number))
    return {"gigabits_per_second": speeds, "milliseconds": times}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=RESULTS)
    args = parser.parse_args()
    if missing := peers.missing(PROGRAMS):
        raise SystemExit(f"{', '.join(missing)} missing; `make packages` installs them")
    private_view.enter()
    enter_network()
    with private_view.scratch() as directory, private_view.no_new_cgroups():
        results = measure(directory, args.rounds)
    for unit, values in results.items():
        for name, each in values.items():
            print(f"{name:45} {statistics.median(each):8.1f} {unit}  ({min(each):.1f}–{max(each):.1f})")
    write(args.json, **results)


if __name__ == "__main__":
    main()
