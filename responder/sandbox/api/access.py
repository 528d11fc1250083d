"""Who is asking, and whether they may: bearer tokens, and RBAC over the roles in the store.

Called by the server for each request and by the access reviews.
Source: Kubernetes plugin/pkg/auth/authorizer/rbac, https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Store

_ADMINISTRATORS = "system:masters"
_ROLES = "roles.rbac.authorization.k8s.io"
_CLUSTER_ROLES = "clusterroles.rbac.authorization.k8s.io"
_ROLE_BINDINGS = "rolebindings.rbac.authorization.k8s.io"
_CLUSTER_ROLE_BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"
_PUBLIC_PATHS = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_ISSUER_PATHS = ["/.well-known", "/.well-known/*"]
_DISCOVERY_PATHS = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*"]
_DISCOVERY_PATHS += ["/readyz", "/version", "/version/"]

Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated caller; every one is in system:authenticated as well."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
ADMIN = User("admin", (_ADMINISTRATORS,))


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a request wants to do: verb on a resource, or on a path that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """The resource as a rule names it: deployments/scale."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(slots=True)
class Tokens:
    """The bearer tokens the server knows; the table may be changed while it runs."""

    users: dict[str, User] = field(default_factory=dict, repr=False)

    def authenticate(self, authorization: str) -> User:
        """Return who bears the token in an Authorization header; ApiError 401 for an unknown one."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return ANONYMOUS
        user = self.users.get(token.strip())
        if user is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return User(user.name, (*user.groups, "system:authenticated"), user.uid)


def service_account(namespace: str, name: str) -> User:
    """Return the user that a service account is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


class Authorizer:
    """Decides by the Roles and bindings that are in the store now."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, user: User, wanted: Attributes) -> None:
        """Return when user may do it; ApiError 403 otherwise."""
        allowed, _ = self.decide(user, wanted)
        if not allowed:
            raise _forbidden(user, wanted)

    def decide(self, user: User, wanted: Attributes) -> tuple[bool, str]:
        """Return whether user may do it and, where a binding says so, which."""
        if _ADMINISTRATORS in user.groups:
            return True, ""
        for rule, reason in self._rules(user, wanted.namespace):
            if _covers(rule, wanted):
                return True, reason
        return False, ""

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """Return every rule that holds for user in namespace."""
        if _ADMINISTRATORS in user.groups:
            return [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
        return [rule for rule, _ in self._rules(user, namespace)]

    def _rules(self, user: User, namespace: str) -> Iterator[tuple[Rule, str]]:
        yield from _basic_rules(user)
        for binding in self._store.scan(_CLUSTER_ROLE_BINDINGS):
            yield from self._bound_rules(user, binding, "ClusterRoleBinding")
        if namespace:
            for binding in self._store.scan(_ROLE_BINDINGS, namespace):
                yield from self._bound_rules(user, binding, "RoleBinding")

    def _bound_rules(self, user: User, binding: dict[str, Any], kind: str) -> Iterator[tuple[Rule, str]]:
        subject = next((s for s in binding.get("subjects") or [] if _is_subject(user, s)), None)
        if subject is None:
            return
        meta, reference = binding["metadata"], binding["roleRef"]
        where = meta.get("namespace", "") if reference["kind"] == "Role" else ""
        key = _ROLES if reference["kind"] == "Role" else _CLUSTER_ROLES
        role = self._store.get(key, where, reference["name"]) or {}
        name = f"{meta['name']}/{meta['namespace']}" if meta.get("namespace") else meta["name"]
        who = f"{subject['kind']} {_quoted_subject(subject)}"
        reason = f'RBAC: allowed by {kind} "{name}" of {reference["kind"]} "{reference["name"]}" to {who}'
        for rule in role.get("rules") or []:
            yield rule, reason


def _basic_rules(user: User) -> Iterator[tuple[Rule, str]]:
    yield {"verbs": ["get"], "nonResourceURLs": _PUBLIC_PATHS}, ""
    if "system:authenticated" in user.groups:
        reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
        yield {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": reviews}, ""
        own = ["selfsubjectreviews"]
        yield {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": own}, ""
        yield {"verbs": ["get"], "nonResourceURLs": _ISSUER_PATHS}, ""
        yield {"verbs": ["get"], "nonResourceURLs": _DISCOVERY_PATHS}, ""


def _is_subject(user: User, subject: Mapping[str, Any]) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            return f"system:serviceaccount:{subject.get('namespace')}:{subject['name']}" == user.name
        case _:
            return False


def _covers(rule: Rule, wanted: Attributes) -> bool:
    if not {"*", wanted.verb} & set(rule.get("verbs") or ()):
        return False
    if wanted.path:
        return any(_matches_path(pattern, wanted.path) for pattern in rule.get("nonResourceURLs") or ())
    if not {"*", wanted.group} & set(rule.get("apiGroups") or ()):
        return False
    names = {"*", wanted.full_resource}
    if wanted.subresource:
        names.add(f"*/{wanted.subresource}")
    if not names & set(rule.get("resources") or ()):
        return False
    return not rule.get("resourceNames") or wanted.name in rule["resourceNames"]


def _matches_path(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def _quoted_subject(subject: Mapping[str, Any]) -> str:
    if subject["kind"] == "ServiceAccount":
        return f'"{subject["name"]}/{subject.get("namespace")}"'
    return f'"{subject["name"]}"'


def _forbidden(user: User, wanted: Attributes) -> ApiError:
    if wanted.path:
        message = f'forbidden: User "{user.name}" cannot {wanted.verb} path "{wanted.path}"'
        return ApiError(403, "Forbidden", message, {})
    qualified = f"{wanted.resource}.{wanted.group}" if wanted.group else wanted.resource
    subject = f'{qualified} "{wanted.name}"' if wanted.name else qualified
    scope = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    message = (
        f'{subject} is forbidden: User "{user.name}" cannot {wanted.verb} resource "{wanted.full_resource}"'
        f' in API group "{wanted.group}" {scope}'
    )
    details = {"name": wanted.name, "group": wanted.group, "kind": wanted.resource}
    return ApiError(403, "Forbidden", message, {key: value for key, value in details.items() if value})
