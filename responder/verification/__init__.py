"""Proof that a rollback worked: the right revision serves all traffic, and the metric is good again.

`assess` functions are pure and judge one look at the world; `prove` functions watch, wait and ask. Nothing
here writes. Called by the pipeline once an undo was accepted.
"""
