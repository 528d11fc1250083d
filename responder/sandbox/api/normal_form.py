"""Pod specs as a typed server writes them: zeros left out, quantities in their one canonical form.

Pure, in place, idempotent. Called by the kinds.
Source: Kubernetes staging/src/k8s.io/api/core/v1/types.go, apimachinery pkg/api/resource/quantity.go.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal
from typing import Any

# Go holds these as plain values that its JSON leaves out when they are zero or empty.
_POD_ZEROS = (
    *("hostNetwork", "hostPID", "hostIPC", "nodeSelector", "tolerations"),
    *("initContainers", "volumes", "imagePullSecrets", "hostAliases"),
)
_CONTAINER_ZEROS = (
    *("stdin", "stdinOnce", "tty", "workingDir", "command", "args"),
    *("env", "envFrom", "ports", "volumeMounts", "volumeDevices"),
)
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d{1,2}|n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|)")
_EXPONENT = re.compile(r"[eE][+-]?\d")
_NANO = Decimal("1e-9")


def normalize_pod_spec(spec: dict[str, Any]) -> None:
    """Bring a pod spec, in a Pod or in a template, into the form in which it is stored."""
    _drop_zeros(spec, _POD_ZEROS)
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        if isinstance(container, dict):
            _normalize_container(container)


def canonical_quantity(value: object) -> object:
    """The one way in which Kubernetes writes an amount: 1000m is 1, 0.5 is 500m, 1024Mi is 1Gi.

    What is no such amount is returned as it is: with an exponent (1e3) it has a form of its own.
    """
    amount = quantity_value(value)
    if amount is None or _EXPONENT.search(str(value)):
        return value
    if str(value).endswith("i") and amount == amount.to_integral_value() and abs(amount) >= 1024:
        return _binary(int(amount))
    return _decimal(amount.quantize(_NANO, rounding=ROUND_UP))


def quantity_value(value: object) -> Decimal | None:
    """The exact amount that a quantity means, None for what is no quantity."""
    found = _QUANTITY.fullmatch(str(value))
    if isinstance(value, bool) or found is None:
        return None
    number, suffix = Decimal(found[1]), found[2]
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return number.scaleb(int(suffix[1:]))
    if suffix.endswith("i"):
        return number * Decimal(1024 ** _BINARY.index(suffix))
    return number.scaleb(3 * (_DECIMAL.index(suffix) - _DECIMAL.index("")))


def _normalize_container(container: dict[str, Any]) -> None:
    _drop_zeros(container, _CONTAINER_ZEROS)
    for variable in container.get("env") or []:
        if isinstance(variable, dict):
            _drop_zeros(variable, ("value",))
    resources = container.get("resources")
    for amounts in resources.values() if isinstance(resources, dict) else ():
        if isinstance(amounts, dict):
            amounts.update({name: canonical_quantity(amount) for name, amount in amounts.items()})


def _drop_zeros(part: dict[str, Any], members: tuple[str, ...]) -> None:
    for member in members:
        if member in part and part[member] in (False, "", [], {}):
            del part[member]


def _binary(amount: int) -> str:
    power = max(power for power in range(len(_BINARY)) if amount % 1024**power == 0)
    return f"{amount // 1024**power}{_BINARY[power]}"


def _decimal(amount: Decimal) -> str:
    if not amount:
        return "0"
    nanos = int(amount / _NANO)
    power = max(power for power in range(len(_DECIMAL)) if nanos % 1000**power == 0)
    return f"{nanos // 1000**power}{_DECIMAL[power]}"
