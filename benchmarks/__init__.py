"""``make bench``: what the pipeline costs, held against the speed of light of its parts."""
