"""Pictures and tables of what the engine reports."""
