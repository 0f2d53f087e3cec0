"""Matting backends: binary masks in, alpha out, one clip at a time.

    Clip + its frames + Masklets -> backend.matte() -> Matte, block by block

``registry`` has the table of them; each is a module with its config, its class and its ``KIND``.
"""
