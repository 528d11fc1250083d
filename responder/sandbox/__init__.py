"""A simulated cluster behind real HTTP APIs: it judges the responder and imports none of its verification."""
