"""Proof that the responder does what it says; see README.md for how to run it."""
