"""A server to be run in a container: `port_server.py KIND ADDRESS PORT`, of the kinds below. It says "ready" first.

echo: what comes goes back, and after the sender's end comes this side's. count: the number of bytes, after the sender's
end. udp: datagrams go back. hash N: sends N bytes.
"""

from __future__ import annotations

import hashlib
import socket
import sys
import threading

CHUNK = 1 << 16


def echo(connection: socket.socket) -> None:
    """Send everything back, then end."""
    while data := connection.recv(CHUNK):
        connection.sendall(data)


def digest(connection: socket.socket) -> None:
    """Read to the end, then tell the SHA-256 of it."""
    sha = hashlib.sha256()
    while data := connection.recv(CHUNK):
        sha.update(data)
    connection.sendall(sha.hexdigest().encode())


def source(connection: socket.socket) -> None:
    """Send 100 MB of a pattern, whatever comes."""
    pattern = bytes(range(256)) * 256
    for _ in range(100 * (1 << 20) // len(pattern)):
        connection.sendall(pattern)


def peer(connection: socket.socket) -> None:
    """Tell who is at the other end."""
    connection.sendall(str(connection.getpeername()[0]).encode())


def serve(kind: str, listener: socket.socket) -> None:
    """Answer connections, each in a thread."""
    answer = {"echo": echo, "digest": digest, "source": source, "peer": peer}[kind]

    def work(connection: socket.socket) -> None:
        with connection:
            answer(connection)

    while True:
        threading.Thread(target=work, args=(listener.accept()[0],), daemon=True).start()


def main(kind: str, address: str, port: int) -> None:
    """Serve for ever."""
    if kind == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind((address, port))
            print("ready", flush=True)
            while True:
                data, client = datagrams.recvfrom(CHUNK)
                datagrams.sendto(data, client)
    with socket.create_server((address, port), backlog=512) as listener:
        print("ready", flush=True)
        serve(kind, listener)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
