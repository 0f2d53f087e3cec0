"""Who does the work: preflight, the loop that hands out shards, and the pools that build them.

    preflight -> driver (loop) -> pool: local (this process) | cluster (Ray actors) -> final files

All state is in the output, so a driver that dies is simply started again.
"""
