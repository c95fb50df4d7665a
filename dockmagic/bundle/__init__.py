"""Any OCI bundle as a container of its own: the operations and the command line of an OCI runtime."""
