"""A small Alertmanager in process: takes alerts, groups, deduplicates and repeats them, calls one webhook.

Used where the real binary is absent and where tests drive time. Two instances that get the same alerts play
the duplicates of a real pair. It knows nothing of the responder.
"""
