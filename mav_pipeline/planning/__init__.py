"""What is to be built, found before anything is spent: plan, preflight, estimate."""
