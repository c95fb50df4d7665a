"""The OCI specifications' nouns as frozen values; pure."""
