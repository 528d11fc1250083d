"""`python -m responder.sandbox.bench`: how fast the responder is, beside bare requests and kubectl.

Runs the responder as an operator does and judges it from outside; nothing of its code is called, except the
pure `decide`. Not for tests: no figure of a shared machine is worth an assertion.
"""
