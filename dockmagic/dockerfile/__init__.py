"""The Dockerfile language: text to nodes to instructions; pure."""
