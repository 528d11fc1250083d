"""A small Prometheus in process: storage, scraping, PromQL, rules and the HTTP API that the responder asks.

Used where the real binary is absent and where tests drive time. It knows nothing of the responder.
"""
