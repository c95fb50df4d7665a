"""Dockerfile instructions to layers: context, plan, cache, execution."""
