"""What is to be built, found before anything is spent: plan, preflight, estimate.

config -> preflight: source -> plan; resume: held by its fingerprint against the output
       -> begin: run.json and plan.parquet, once a worker's backend is set up
       -> estimate: what a build would cost; writes nothing
"""
