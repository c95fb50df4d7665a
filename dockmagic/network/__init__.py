"""Networks of containers: what they are called and where their addresses come from; bridges, rules, forwarding."""
