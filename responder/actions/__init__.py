"""What the responder does to the world: the rollback, and what it tells people."""
