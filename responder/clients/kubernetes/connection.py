"""Finding the cluster: a kubeconfig when one is named, the pod's service account otherwise.

Nothing is read from a home directory unasked.
"""

from __future__ import annotations

import inspect
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import yaml

from responder.clients.kubernetes.client import Kubernetes
from responder.clients.kubernetes.errors import Unauthorized
from responder.clock import Clock, SystemClock
from responder.errors import Permanent

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration


class NoCluster(Permanent):
    """It is not known which cluster to talk to, or how."""


async def connect(
    kubeconfig: Path | None, context: str | None = None, *, clock: Clock | None = None
) -> Kubernetes:
    """Make the client for the cluster of a kubeconfig, or for the one this process runs in for None.

    `kubeconfig` may be several paths joined by ':', as in KUBECONFIG. Sends nothing yet, but a kubeconfig's
    credential plugin may run. Raises NoCluster.
    """
    # Imported here as it takes a third of a second, which `responder --help` need not wait for.
    from kubernetes_asyncio.client import ApiClient, Configuration

    configuration = Configuration()
    if kubeconfig is not None:
        await _load_kubeconfig(configuration, kubeconfig, context)
    else:
        _load_service_account(configuration)
    _explain_renewal(configuration)
    api = ApiClient(configuration)
    api.user_agent = f"responder/{_version()}"
    return Kubernetes(api, clock or SystemClock())


async def _load_kubeconfig(configuration: Configuration, kubeconfig: Path, context: str | None) -> None:
    from kubernetes_asyncio.config import ConfigException, load_kube_config

    if not _exists(kubeconfig):
        raise NoCluster(f"the kubeconfig {kubeconfig} does not exist; name one with --kubeconfig")
    try:
        await load_kube_config(
            config_file=str(kubeconfig),
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (
        ConfigException,
        yaml.YAMLError,
        OSError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        aiohttp.ClientError,
    ) as error:
        raise NoCluster(
            f"the kubeconfig {kubeconfig} can't be used"
            f"{f' with context {context}' if context else ''}: {error}; try it with kubectl"
        ) from error


def _exists(kubeconfig: Path) -> bool:
    return any(Path(path).expanduser().is_file() for path in str(kubeconfig).split(os.pathsep))


def _load_service_account(configuration: Configuration) -> None:
    from kubernetes_asyncio.config import ConfigException, load_incluster_config

    try:
        load_incluster_config(client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise NoCluster(
            f"no cluster to talk to: no kubeconfig is named, and this is no pod with a service account"
            f" ({error}); give --kubeconfig or RESPONDER_KUBECONFIG"
        ) from error


def _explain_renewal(configuration: Configuration) -> None:
    """Have credentials that can't be renewed (a token file, a plugin) reported as every other refusal is."""
    from kubernetes_asyncio.config import ConfigException

    renew = configuration.refresh_api_key_hook
    if renew is None:
        return

    async def renew_or_explain(current: Configuration) -> None:
        try:
            renewal = renew(current)
            if inspect.isawaitable(renewal):
                await renewal
        except (ConfigException, OSError) as error:
            raise Unauthorized(0, "NoCredentials", f"the token can't be renewed: {error}", {}) from error

    configuration.refresh_api_key_hook = renew_or_explain


def _version() -> str:
    try:
        return version("responder")
    except PackageNotFoundError:  # run from a checkout that nobody installed
        return "unknown"
