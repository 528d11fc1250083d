"""Pod addresses, handed out from one network or, on a dual-stack cluster, from one of each family.

Knows nothing of pods. Called by the kubelet.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable

from responder.errors import ResponderError

# Of a larger network (any of IPv6) only the beginning is used.
_MOST_ADDRESSES = 2**16


class AddressPool:
    """The addresses of one network, each handed out again only after all others have had their turn."""

    def __init__(self, network: str) -> None:
        self._network = ipaddress.ip_network(network)
        self._size = min(self._network.num_addresses, _MOST_ADDRESSES)
        self._taken: set[str] = set()
        self._next = itertools.cycle(range(1, self._size - 1))

    def allocate(self) -> str:
        """An address that no pod has; ResponderError when the network is used up."""
        for offset in itertools.islice(self._next, self._size):
            address = str(self._network[offset])
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise ResponderError(
            f"the sandbox's pod network {self._network} has no address left for another pod: give it a larger"
            " network or run fewer pods"
        )

    def reserve(self, address: str) -> None:
        """Note an address that a pod has already."""
        self._taken.add(address)

    def release(self, address: str) -> None:
        """Take back the address of a pod that is gone."""
        self._taken.discard(address)


class PodNetwork:
    """A pool for each IP family, the primary one first."""

    def __init__(self, networks: str) -> None:
        """networks is one CIDR, or two with a comma between as in kubelet's and controllers' flags."""
        self._pools = [AddressPool(network) for network in networks.split(",")]

    def allocate(self) -> tuple[str, ...]:
        """An address of each family."""
        return tuple(pool.allocate() for pool in self._pools)

    def reserve(self, addresses: Iterable[str]) -> None:
        """Note the addresses that a pod has already."""
        for address in addresses:
            for pool in self._pools:
                pool.reserve(address)

    def release(self, addresses: Iterable[str]) -> None:
        """Take back the addresses of a pod that is gone."""
        for address in addresses:
            for pool in self._pools:
                pool.release(address)
