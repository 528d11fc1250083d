"""Scenario files: what a sandboxed cluster holds, what traffic it gets, and what befalls it over time.

The command `responder sandbox` plays them, for people who try rule files or kubectl without a real cluster.
"""
