"""Published ports: sockets of the host that lead into a container."""
