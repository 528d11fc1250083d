"""The outside world over HTTP: Kubernetes, Prometheus, Alertmanager. Speaks protocols, judges nothing."""
