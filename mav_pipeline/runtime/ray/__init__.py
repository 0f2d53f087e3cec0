"""The workers of a Ray cluster, and its metrics; the one package that imports ray."""
