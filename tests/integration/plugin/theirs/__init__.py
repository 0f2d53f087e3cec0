"""A package of somebody else's that adds a backend and a source."""
