"""How well lost frames are told from true absences: ``python -m scripts.lost`` measures it."""
