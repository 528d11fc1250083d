"""Rule files: what they say (model), how they are read, checked and rendered, and what follows from them.

Everything but `load` and `write_rendered` is pure. Called by the pipeline, the command line and the sandbox.
"""
