"""Simulated clients of a Service, the node proxies they pass, and the pods that answer them.

Reads pods and EndpointSlices from the sandbox's store; every request is told to the oracle and counted in
the pod's metrics. It must not know what the responder thinks of any of it.
"""

from responder.sandbox.traffic.behaviour import Behaviour, BehaviourError
from responder.sandbox.traffic.clients import Traffic
from responder.sandbox.traffic.metrics import LATENCY_BUCKETS, PodCounters, PodMetrics
from responder.sandbox.traffic.pods import PodDirectory, PodFacts
from responder.sandbox.traffic.proxy import NodeProxy

__all__ = [
    "LATENCY_BUCKETS",
    "Behaviour",
    "BehaviourError",
    "NodeProxy",
    "PodCounters",
    "PodDirectory",
    "PodFacts",
    "PodMetrics",
    "Traffic",
]
