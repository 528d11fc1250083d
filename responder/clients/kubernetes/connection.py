"""Finding the cluster: a kubeconfig when one is named, the pod's service account otherwise.

Nothing is read from a home directory unasked.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import yaml

from responder.clients.http import describe
from responder.clients.kubernetes.client import Kubernetes
from responder.clients.kubernetes.errors import Unauthorized
from responder.clients.kubernetes.library import load_library
from responder.clients.kubernetes.session import Session
from responder.clock import Clock, SystemClock
from responder.errors import Permanent

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config.kube_config import KubeConfigLoader

# A plugin may ask an identity provider; one that asks a person instead would wait for ever.
_RENEWAL_SECONDS = 30


class NoCluster(Permanent):
    """It is not known which cluster to talk to, or how."""


async def connect(
    kubeconfig: Path | None, context: str | None = None, *, clock: Clock | None = None, identity: str = ""
) -> Kubernetes:
    """Make the client for the cluster of a kubeconfig, or for the one this process runs in for None.

    `kubeconfig` may be several paths joined by ':', as in KUBECONFIG. Sends nothing yet, but a kubeconfig's
    credential plugin may run. `identity` is shown to the API server's audit log. Raises NoCluster.
    """
    # Imported only now, as `responder --help` need not wait for it.
    client, _ = load_library()
    configuration = client.Configuration()
    # Every namespace of the rule files takes two watches, every proof five: a limit would hang all of them.
    configuration.connection_pool_maxsize = 0
    if kubeconfig is not None:
        await _load_kubeconfig(configuration, kubeconfig, context)
    else:
        _load_service_account(configuration)
    _explain_renewal(configuration)
    session = Session(configuration, f"responder/{program_version()} {identity}".rstrip())
    return Kubernetes(session, clock or SystemClock())


async def _load_kubeconfig(configuration: Configuration, kubeconfig: Path, context: str | None) -> None:
    _, config = load_library()
    if not _exists(kubeconfig):
        raise NoCluster(f"the kubeconfig {kubeconfig} does not exist; name one with --kubeconfig")
    try:
        async with asyncio.timeout(_RENEWAL_SECONDS):
            loader = await config.load_kube_config(
                config_file=str(kubeconfig),
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
    except (
        config.ConfigException,
        yaml.YAMLError,
        OSError,
        AssertionError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        aiohttp.ClientError,
    ) as error:
        raise NoCluster(
            f"the kubeconfig {kubeconfig} can't be used"
            f"{f' with context {context}' if context else ''}: {describe(error)}; try it with kubectl"
        ) from error
    if hasattr(loader, "exec_plugin_expiry"):
        configuration.refresh_api_key_hook = _plugin_renewal(loader)


def _plugin_renewal(loader: KubeConfigLoader) -> Callable[[Configuration], Awaitable[None]]:
    """Renew a credential plugin's token in time, which the library does only for service accounts."""
    lock = asyncio.Lock()

    async def renew(current: Configuration) -> None:
        async with lock:
            await loader.load_from_exec_plugin()  # keeps the token it has until 5 minutes before its end
            current.api_key["BearerToken"] = loader.token

    return renew


def _exists(kubeconfig: Path) -> bool:
    return any(Path(path).expanduser().is_file() for path in str(kubeconfig).split(os.pathsep))


def _load_service_account(configuration: Configuration) -> None:
    _, config = load_library()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except (config.ConfigException, OSError) as error:
        raise NoCluster(
            "no kubeconfig is given, so which Kubernetes cluster is meant can't be told: add --kubeconfig"
            " FILE (such as `--kubeconfig ~/.kube/config`), or set KUBECONFIG. Only in a pod with a service"
            " account is none needed, and this is not one"
        ) from error


def _explain_renewal(configuration: Configuration) -> None:
    """Have credentials that can't be renewed (a token file, a plugin) reported as every other refusal is."""
    _, config = load_library()
    renew = configuration.refresh_api_key_hook
    if renew is None:
        return

    async def renew_or_explain(current: Configuration) -> None:
        try:
            async with asyncio.timeout(_RENEWAL_SECONDS):
                renewal = renew(current)
                if inspect.isawaitable(renewal):
                    await renewal
        except (config.ConfigException, OSError) as error:
            raise Unauthorized(
                0, "NoCredentials", f"the token can't be renewed: {describe(error)}", {}
            ) from error

    configuration.refresh_api_key_hook = renew_or_explain


def program_version() -> str:
    """This program's version, as servers and people are told it."""
    try:
        return version("responder")
    except PackageNotFoundError:  # run from a checkout that nobody installed
        return "unknown"
