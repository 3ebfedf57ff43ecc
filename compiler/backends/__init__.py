"""Backends: each emits the files that start a bundle's jobs in one way."""
