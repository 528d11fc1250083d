"""The simulated cluster's controllers: of workloads and EndpointSlices, and a scheduler with kubelets.

They read and write the sandbox's store as kube-controller-manager does the API: level-triggered, one object a
sync, every step a write that a watcher sees. They know nothing of the responder, whom they help to judge.
"""
