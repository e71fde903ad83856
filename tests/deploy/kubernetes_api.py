"""A stand-in for the API server of a cluster: stores the objects of the chart and says what a controller would say.

It runs nothing: objects are ready or have failed at once, which an image's tag decides.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Manifest = dict[str, Any]

_TIME = "2026-01-01T00:00:00Z"

# Group and version, resource, kind.
_RESOURCES = [
    ("v1", "services", "Service"),
    ("v1", "serviceaccounts", "ServiceAccount"),
    ("v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("v1", "pods", "Pod"),
    ("apps/v1", "deployments", "Deployment"),
    ("apps/v1", "replicasets", "ReplicaSet"),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("batch/v1", "cronjobs", "CronJob"),
    ("batch/v1", "jobs", "Job"),
    ("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy"),
    ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
]
_KINDS = {resource: kind for _, resource, kind in _RESOURCES}
_PATH = re.compile(
    r"/apis?/(?P<version>(?:[\w.]+/)?v\d+)/(?:namespaces/(?P<namespace>[\w-]+)/)?(?P<resource>\w+)(?:/(?P<name>[\w-]+))?$"
)
_VERBS = ["delete", "get", "list", "patch", "watch"]


class KubernetesApi:
    """Objects by resource and name.

    Pods of the image tag ``unready`` never become ready, and Jobs of the tag ``failing`` fail.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Manifest] = {}
        # What was done, in order: apply or delete, resource and name.
        self.done: list[tuple[str, str, str]] = []
        self._events: list[tuple[str, str, Manifest]] = []
        self._changed = threading.Condition()
        self.ended = False

    def apply(self, resource: str, name: str, manifest: Manifest) -> Manifest:
        """Store an object with the status that a controller would give it."""
        with self._changed:
            former = self.objects.get((resource, name))
            generation = former["metadata"]["generation"] + 1 if former else 1
            manifest["metadata"] |= {
                "generation": generation, "uid": f"{resource}-{name}", "resourceVersion": str(len(self._events) + 1),
                "creationTimestamp": _TIME,
            }  # fmt: skip
            self.objects[resource, name] = manifest
            manifest["status"] = self._status(resource, manifest)
            self.done.append(("apply", resource, name))
            self._tell("MODIFIED" if former else "ADDED", resource, manifest)
        return manifest

    def delete(self, resource: str, name: str) -> Manifest | None:
        """Remove an object."""
        with self._changed:
            found = self.objects.pop((resource, name), None)
            if found is not None:
                self.done.append(("delete", resource, name))
                self._tell("DELETED", resource, found)
        return found

    def end(self) -> None:
        """End all watches."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def watch(self, resource: str, version: str, kind: str) -> Iterator[tuple[str, Manifest]]:
        """The objects of a resource, a bookmark, and then what changes."""
        with self._changed:
            position = len(self._events)
            present = [json.loads(json.dumps(one)) for (name, _), one in self.objects.items() if name == resource]
        yield from (("ADDED", one) for one in present)
        marks = {"resourceVersion": str(position), "annotations": {"k8s.io/initial-events-end": "true"}}
        yield "BOOKMARK", {"kind": kind, "apiVersion": version, "metadata": marks}
        while not self.ended:
            with self._changed:
                while position >= len(self._events) and not self.ended:
                    self._changed.wait(1)
                events, position = self._events[position:], len(self._events)
            yield from ((event, manifest) for event, changed, manifest in events if changed == resource)

    @property
    def version(self) -> str:
        """Version of all objects together."""
        return str(len(self._events))

    def _tell(self, kind: str, resource: str, manifest: Manifest) -> None:
        self._events.append((kind, resource, json.loads(json.dumps(manifest))))
        self._changed.notify_all()

    def _status(self, resource: str, manifest: Manifest) -> Manifest:
        if resource == "persistentvolumeclaims":
            return {"phase": "Bound"}
        if resource not in ("deployments", "jobs"):
            return {}
        tag = manifest["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]
        if resource == "jobs":
            ending, count = ("Failed", "failed") if tag == "failing" else ("Complete", "succeeded")
            return {"startTime": _TIME, "conditions": [{"type": ending, "status": "True"}], count: 1}
        progress = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
        if tag == "unready":
            progress |= {"status": "False", "reason": "ProgressDeadlineExceeded"}
        replicas = manifest["spec"].get("replicas", 1)
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        observed = {"observedGeneration": manifest["metadata"]["generation"]}
        conditions = [{"type": "Available", "status": "True"}, progress]
        return dict.fromkeys(counts, replicas) | observed | {"conditions": conditions}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: KubernetesApi

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""

    def _answer(self, body: Manifest, status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: int, reason: str) -> None:
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status}
        self._answer(body | {"message": f"{self.path}: {reason}", "metadata": {}}, status)

    def _body(self) -> Manifest:
        # YAML is what server-side apply sends.
        return dict(yaml.safe_load(self.rfile.read(int(self.headers.get("content-length", 0)))) or {})

    def do_GET(self) -> None:
        """Discovery, objects, lists and watches."""
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        found = _PATH.match(address.path)
        if address.path == "/version":
            self._answer({"major": "1", "minor": "37", "gitVersion": "v1.37.0"})
        elif address.path == "/api":
            self._answer({"kind": "APIVersions", "versions": ["v1"]})
        elif address.path == "/apis":
            self._answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups()})
        elif address.path.removeprefix("/api/").removeprefix("/apis/") in {version for version, _, _ in _RESOURCES}:
            self._answer(_resource_list(address.path.removeprefix("/api/").removeprefix("/apis/")))
        elif address.path == "/openapi/v3":
            paths = {_root(one): {"serverRelativeURL": f"/openapi/v3/{_root(one)}"} for one, _, _ in _RESOURCES}
            self._answer({"paths": paths})
        elif address.path.startswith("/openapi/v3/"):
            self._answer(_operations(address.path.removeprefix("/openapi/v3/")))
        elif found is None:
            self._refuse(404, "NotFound")
        elif found["name"]:
            manifest = self.api.objects.get((found["resource"], found["name"]))
            self._refuse(404, "NotFound") if manifest is None else self._answer(manifest)
        elif query.get("watch") in ("true", "1"):
            self._stream(found["resource"], found["version"], query)
        else:
            self._list(found["resource"], found["version"], query)

    def _list(self, resource: str, version: str, query: dict[str, str]) -> None:
        items = [one for (name, _), one in self.api.objects.items() if name == resource and _matches(one, query)]
        head = {"kind": f"{_KINDS[resource]}List", "apiVersion": version}
        self._answer(head | {"metadata": {"resourceVersion": self.api.version}, "items": items})

    def _stream(self, resource: str, version: str, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        for event, manifest in self.api.watch(resource, version, _KINDS[resource]):
            if event == "BOOKMARK" or _matches(manifest, query):
                content = json.dumps({"type": event, "object": manifest}).encode() + b"\n"
                try:
                    self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
                except OSError:
                    return

    def do_PATCH(self) -> None:
        """Server-side apply: the client sends all fields that it wants to own, which are all that there are here."""
        found = _PATH.match(urlsplit(self.path).path)
        manifest = self._body()
        if found is None or "apply-patch" not in self.headers["content-type"]:
            return self._refuse(415, "UnsupportedMediaType")
        manifest["metadata"]["namespace"] = found["namespace"]
        return self._answer(self.api.apply(found["resource"], found["name"], manifest))

    def do_DELETE(self) -> None:
        """Delete an object."""
        self._body()
        found = _PATH.match(urlsplit(self.path).path)
        deleted = self.api.delete(found["resource"], found["name"]) if found else None
        self._refuse(404, "NotFound") if deleted is None else self._answer(deleted)


def _matches(manifest: Manifest, query: dict[str, str]) -> bool:
    wanted = query.get("fieldSelector", "").removeprefix("metadata.name=")
    return not wanted or manifest["metadata"]["name"] == wanted


def _root(version: str) -> str:
    return f"apis/{version}" if "/" in version else f"api/{version}"


def _operations(root: str) -> Manifest:
    """Operations of a version: each says that the server checks the fields, so that the client need not."""
    paths = {}
    for version, resource, kind in _RESOURCES:
        if _root(version) == root:
            group, _, name = version.rpartition("/")
            operation = {
                "x-kubernetes-group-version-kind": {"group": group, "version": name, "kind": kind},
                "parameters": [{"name": "fieldValidation", "in": "query"}],
                "responses": {},
            }
            paths[f"/{root}/namespaces/{{namespace}}/{resource}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.37.0"}, "paths": paths}


def _groups() -> list[Manifest]:
    versions = sorted({version for version, _, _ in _RESOURCES if "/" in version})
    entries = [{"groupVersion": one, "version": one.partition("/")[2]} for one in versions]
    return [
        {"name": entry["groupVersion"].partition("/")[0], "versions": [entry], "preferredVersion": entry}
        for entry in entries
    ]


def _resource_list(version: str) -> Manifest:
    resources = [
        {"name": name, "singularName": kind.lower(), "kind": kind, "namespaced": True, "verbs": _VERBS}
        for group, name, kind in _RESOURCES
        if group == version
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}


@contextmanager
def kubernetes_api() -> Iterator[tuple[str, KubernetesApi]]:
    """An API server in this process, without objects.

    Yields:
        A configuration of kubectl for it, and the server.
    """
    api = KubernetesApi()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    try:
        yield yaml.safe_dump(configuration), api
    finally:
        api.end()
        server.shutdown()
        server.server_close()
