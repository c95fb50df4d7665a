"""Control groups: where they are mounted, a container's own group, and its limits as files. Source: cgroups(7)."""
