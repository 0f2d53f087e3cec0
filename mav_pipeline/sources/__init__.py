"""Sources: list the clips of a collection, then read, check and decode one at a time.

    storage -> discover() -> ClipRef -> load() -> Clip + Masklets, frames

``registry`` has the table of them; each is a module with its config, its class and its ``KIND``.
"""
