"""Turns a firing alert into a safe, proven rollback, or into a person who knows why it was not done."""
