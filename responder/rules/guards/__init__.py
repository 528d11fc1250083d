"""The guards: what has to be true before a rollback may be automatic. Pure; start at checklist.py.

Each guard is one small function over the facts. All are evaluated and recorded, whatever the others say.
"""
