"""The ``footage`` source: one's own videos and frame folders, with masks beside them.

    listing -> pairs (what belongs together, by names) -> clips (a plan's, with safe keys)
    load:  files -> masks, match (which frame each is of) -> masklets;  frames, as they are taken

``source`` has the config, the class and its ``KIND``.
"""
