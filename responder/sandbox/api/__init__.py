"""The sandbox's Kubernetes API server: a store that follows the real server's rules, and HTTP on top."""
