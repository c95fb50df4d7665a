"""Every command once: an argument parser and a function on the engine."""
