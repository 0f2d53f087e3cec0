"""What trainers import: the loader of finished sets."""
