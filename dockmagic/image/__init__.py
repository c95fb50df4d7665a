"""Images at rest: content store, layers, snapshots, registries."""
