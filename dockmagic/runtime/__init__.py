"""Containers in motion: launcher, monitor, init, cgroups, streams, statistics."""
