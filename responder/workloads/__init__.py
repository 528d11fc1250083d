"""Kubernetes workloads as the responder reads them: views, revisions, history. Pure; no client, no clock."""
