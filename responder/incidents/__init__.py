"""Incidents and workload records: their model and phases (pure), and the store of custom resources."""
