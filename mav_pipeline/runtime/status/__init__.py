"""How a run is shown: a tally of events, drawn as a panel, log lines or from the output alone."""
