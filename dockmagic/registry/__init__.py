"""A registry in this process: the server's side of the distribution-spec, on a directory or on the engine's images."""
