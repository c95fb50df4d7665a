"""Volumes: directories that outlive containers, and what of them a container gets to see."""
