"""Helm chart and manifests: rendered, valid by the schemas of Kubernetes, and with as few rights as they need.

No cluster is involved; releases are installed at the stand-in of tests/deploy/kubernetes_api.py, which runs nothing.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

import churn_kedro
from churn_kedro.cli.main import cli
from tests import ROOT
from tests.deploy.kubernetes_api import KubernetesApi, kubernetes_api

KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = KUBERNETES / "churn"
RULES = ROOT / "deploy" / "monitoring" / "prometheus_rules.yml"
# The oldest version that Chart.yaml allows, and the newest that there are schemas of.
VERSIONS = ["1.31", "1.37"]
# Kinds of operators; their schemas are in none of the packages of the tests.
CUSTOM = {"ServiceMonitor", "PrometheusRule", "InferenceService", "HTTPRoute", "Server", "Model", "Experiment"}
SECRETS = {
    "CHURN_API_KEYS",
    "CHURN_PREDICTION_LOG",
    "CHURN_PRIVATE_KEY",
    "CHURN_SERVICE_KEY",
    "CHURN_STUDY_URL",
    "MLFLOW_TRACKING_PASSWORD",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
}

Manifest = dict[str, Any]


def _environment(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((KUBERNETES / "environments" / f"{name}.yaml").read_text(encoding="utf-8"))
    return values


VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "staging": _environment("staging"),
    "production": _environment("production"),
    "before the first champion": {"service": {"enabled": False}},
    "service only": {
        "jobs": {"train": None, "inference": None, "monitoring": None},
        "persistence": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "smokeTest": {"enabled": False},
        "service": {"version": 7, "autoscaling": {"enabled": False}},
    },
    "everything": {
        "images": {"pullSecrets": ["registry"], "serve": {"tag": "1.2.3-rc.1"}},
        "useCases": ["base", "telco", "iris"],
        "secretRefs": {name: {"secret": "given", "key": name.lower()} for name in SECRETS},
        "place": {"CHURN_STUDY_URL": None, "CHURN_PUSHGATEWAY": "http://pushgateway:9091"},
        "service": {
            "podAnnotations": {"example.com/team": "churn"},
            "nodeSelector": {"pool": "scoring"},
            "tolerations": [{"key": "scoring", "operator": "Exists"}],
        },
        "jobDefaults": {"nodeSelector": {"pool": "batch"}, "tolerations": [{"key": "batch", "operator": "Exists"}]},
        "persistence": {"existingClaim": "tables"},
        "serviceAccount": {"name": "given"},
        "ingress": {"enabled": True, "host": "scoring.example.com", "tlsSecret": "tls", "annotations": {"a": "b"}},
        "prometheus": {"serviceMonitor": {"enabled": True}, "rule": {"enabled": True}},
    },
}


@cache
def _render(variant: str) -> list[Manifest]:
    return _render_values(VARIANTS[variant])


def _render_values(values: dict[str, Any]) -> list[Manifest]:
    with helm.Chart.load(CHART) as chart:
        rendered = chart.render(values, name="churn", namespace="scoring")
    texts = [text for path, text in rendered.items() if path.endswith(".yaml")]
    return [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest]


def _find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = (one for one in manifests if one["kind"] == kind and one["metadata"]["name"] == name)
    return found


def _files(folder: str) -> list[Manifest]:
    paths = sorted((KUBERNETES / folder).glob("*.yaml"))
    return [one for path in paths for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def _pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest, dict[str, str]]]:
    """Name, specification and labels of each pod that a manifest describes."""
    for manifest in manifests:
        spec = manifest.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            labels = spec["template"]["metadata"]["labels"]
            yield f"{manifest['kind']} {manifest['metadata']['name']}", spec["template"]["spec"], labels


def _containers(manifests: list[Manifest]) -> list[tuple[str, Manifest]]:
    found = [(name, container) for name, pod, _ in _pods(manifests) for container in pod["containers"]]
    assert found
    return found


def _variables(container: Manifest) -> dict[str, Any]:
    names = [one["name"] for one in container["env"]]
    assert len(names) == len(set(names))
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_chart_passes_the_strict_linter(variant: str) -> None:
    report = helm.lint(CHART, VARIANTS[variant], strict=True)

    assert report["errors"] == []
    assert [one["error"] for one in report["messages"] if one["severity"] > 1] == []
    assert report["total_charts_linted"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_has_the_fields_of_its_kind_and_no_other(variant: str, version: str) -> None:
    checked = [one for one in _render(variant) if one["kind"] not in CUSTOM]

    assert checked
    for manifest in checked:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_refuse_a_field_that_does_not_exist() -> None:
    manifest = _find(_render("defaults"), "Service", "churn") | {"sepc": {}}

    with pytest.raises(kubernetes_validate.ValidationError, match="sepc"):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"replicas": 3}, "additional properties 'replicas' not allowed"),
    ({"service": {"replica": 3}}, "additional properties 'replica' not allowed"),
    ({"service": {"replicas": "three"}}, "got string, want integer"),
    ({"service": {"resources": {"limits": None}}}, "missing property 'limits'"),
    ({"service": {"terminationGracePeriodSeconds": 60}}, "minimum: got 60, want 61"),
    ({"service": {"preStopSeconds": 30}}, "more than 80 is needed"),
    ({"service": {"autoscaling": {"minReplicas": 9}}}, "minReplicas is more than maxReplicas"),
    ({"images": {"serve": {"tag": "latest"}}}, "/images/serve/tag"),
    ({"images": {"serve": {"repository": "churn:latest"}}}, "does not match pattern"),
    ({"images": {"job": {"digest": "sha256:12"}}}, "does not match pattern"),
    ({"useCases": []}, "minItems"),
    ({"place": {"CHURN_API_KEYS": "0123"}}, "invalid propertyName 'CHURN_API_KEYS'"),
    ({"place": {"MLFLOW_TRACKING_PASSWORD": "planted"}}, "invalid propertyName"),
    ({"place": {"AWS_SECRET_ACCESS_KEY": "planted"}}, "invalid propertyName"),
    ({"place": {"CHURN_ALERT_WEBHOOK": "https://hooks.example.com/x"}}, "invalid propertyName"),
    ({"place": {"MLFLOW_TRACKING_URI": "http://user:planted@mlflow:5000"}}, "'not' failed"),
    ({"place": {"CHURN_DATA_ROOT": "/somewhere"}}, "does not match pattern"),
    ({"place": {"CHURN_DATA_ROOT": "s3://churn"}}, "choose one"),
    ({"place": {"CHURN_PREDICTION_LOG": "postgresql+psycopg://database/churn"}}, "in place and in secretRefs"),
    ({"place": {"MLFLOW_TRACKING_URI": None}}, "MLFLOW_TRACKING_URI is neither in place nor in secretRefs"),
    ({"secretRefs": {"CHURN_API_KEYS": "planted"}}, "got string, want object"),
    ({"secretRefs": {"CHURN_PRIVATE_KEY": {"secret": "churn"}}}, "missing property 'key'"),
    ({"secretRefs": {"CHURN_API_KEYS": None}}, "CHURN_API_KEYS is missing"),
    ({"secretRefs": {"CHURN_SERVICE_KEY": None}}, "CHURN_SERVICE_KEY is missing"),
    ({"persistence": {"enabled": False}}, "jobs need their tables"),
    ({"jobs": {"train": {"schedule": "0 25 * * *"}}}, "does not match pattern"),
    ({"jobs": {"train": {"schedule": "0 2 * *"}}}, "does not match pattern"),
    ({"jobs": {"train": {"schedule": "0 2 * * 7"}}}, "does not match pattern"),
    ({"jobs": {"train": {"schedule": "every sunday"}}}, "does not match pattern"),
    ({"jobs": {"train": {"pipelines": ["trainig"]}}}, "/jobs/train/pipelines/0"),
    ({"jobs": {"train": {"params": {"new_customers": "a,b"}}}}, "does not match pattern"),
    ({"jobs": {"Train": {}}}, "invalid propertyName 'Train'"),
    ({"ingress": {"enabled": True, "host": "scoring.example.com"}}, "/ingress/tlsSecret"),
    ({"networkPolicy": {"egress": {"any": {"ports": []}}}}, "minItems"),
    ({"networkPolicy": {"ingressFrom": {"any": {}}}}, "minProperties"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_values_that_cannot_be_meant_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm.HelmError, match=re.escape(message)):
        _render_values(values)


@pytest.mark.parametrize("schedule", ["*/15 * * * *", "0 2 1,15 * MON-FRI", "59 23 31 12 6", "@daily"])
def test_schedules_of_kubernetes_are_accepted(schedule: str) -> None:
    job = _find(_render_values({"jobs": {"train": {"schedule": schedule}}}), "CronJob", "churn-train")

    assert job["spec"]["schedule"] == schedule


def test_every_value_has_a_comment() -> None:
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    # Their content is in the language of Kubernetes.
    explained = {"requests", "limits", "namespaceSelector", "podSelector"}
    for position, line in enumerate(lines):
        key = re.match(r"\s*([\w.-]+):\s*\S", line)
        if key and not line.lstrip().startswith("#") and key[1] not in explained:
            assert lines[position - 1].lstrip().startswith("#"), f"values.yaml:{position + 1} {line.strip()}"


def test_the_version_of_the_images_is_that_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    images = {container["image"] for _, container in _containers(_render("defaults"))}

    assert chart["appVersion"] == churn_kedro.__version__
    assert images == {f"churn-kedro-{name}:{churn_kedro.__version__}" for name in ("serve", "job")}


@pytest.mark.parametrize("variant", [*VARIANTS, "kserve"])
def test_no_container_has_more_rights_than_it_needs(variant: str) -> None:
    if variant == "kserve":
        pods = [one["spec"]["predictor"] for one in _files("kserve") if one["kind"] == "InferenceService"]
    else:
        pods = [pod for _, pod, _ in _pods(_render(variant))]
        for pod in pods:
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert pod["automountServiceAccountToken"] is False
            assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)

    assert pods
    for pod in pods:
        # The Service churn would otherwise give its pods CHURN_SERVICE_HOST and others of that kind.
        assert pod["enableServiceLinks"] is False
        assert {frozenset(volume) - {"name"} for volume in pod["volumes"]} <= {
            frozenset({"emptyDir"}), frozenset({"persistentVolumeClaim"}),
        }  # fmt: skip
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["runAsNonRoot"] is True
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert not security.get("privileged")
            for amounts in (container["resources"]["requests"], container["resources"]["limits"]):
                assert {"cpu", "memory"} <= set(amounts)
            assert {"/tmp", "/opt/churn/logs"} <= {mount["mountPath"] for mount in container["volumeMounts"]}  # noqa: S108
            image = container["image"]
            assert re.search(r":[\w.-]+$|@sha256:[0-9a-f]{64}$", image), image
            assert not image.endswith(":latest")


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_may_use_the_kubernetes_api(variant: str) -> None:
    manifests = _render(variant)
    kinds = {one["kind"] for one in manifests}

    assert not {kind for kind in kinds if "Role" in kind}
    for one in manifests:
        assert one["kind"] != "ServiceAccount" or one["automountServiceAccountToken"] is False


@pytest.mark.parametrize("variant", VARIANTS)
def test_secrets_are_references_and_each_pod_has_only_its_own(variant: str) -> None:
    manifests = _render(variant)
    assert "Secret" not in {one["kind"] for one in manifests}
    for name, container in _containers(manifests):
        variables = _variables(container)
        secret = {key for key, value in variables.items() if isinstance(value, dict)}
        if variant == "everything":
            assert {key for key in variables if key in SECRETS} == secret
        for value in variables.values():
            assert not isinstance(value, dict) or set(value["secretKeyRef"]) == {"name", "key"}
        if name.startswith("Deployment"):
            assert {"CHURN_API_KEYS", "CHURN_PREDICTION_LOG"} <= secret
            assert not {"CHURN_SERVICE_KEY", "CHURN_STUDY_URL"} & set(variables)
        elif name.startswith("CronJob"):
            assert "CHURN_API_KEYS" not in variables
            assert variables["CHURN_DATA_ROOT"]
        else:
            assert {one for one in variables if one.startswith("CHURN_")} == {"CHURN_SERVICE_KEY"}
            assert not {one for one in variables if one.startswith("AWS_")}


def test_the_key_that_signs_reaches_who_promotes_and_the_key_that_verifies_who_scores() -> None:
    keys = {name: {"secret": "keys", "key": name.lower()} for name in ("CHURN_SIGNING_KEY", "CHURN_VERIFY_KEY")}
    got = {
        name: set(keys) & set(_variables(container))
        for name, container in _containers(_render_values({"secretRefs": keys}))
    }

    assert got == {
        "CronJob churn-train": {"CHURN_SIGNING_KEY"},
        "CronJob churn-inference": {"CHURN_VERIFY_KEY"},
        "CronJob churn-monitoring": {"CHURN_VERIFY_KEY"},
        "Deployment churn": {"CHURN_VERIFY_KEY"},
        "Job churn-smoke-test": set(),
    }


def test_the_service_can_have_a_user_of_the_registry_of_its_own() -> None:
    manifests = _render_values(
        {
            "place": {"MLFLOW_TRACKING_USERNAME": "pipelines"},
            "secretRefs": {"MLFLOW_TRACKING_PASSWORD": {"secret": "mlflow", "key": "pipelines"}},
            "service": {
                "place": {"MLFLOW_TRACKING_USERNAME": "service"},
                "secretRefs": {"MLFLOW_TRACKING_PASSWORD": {"secret": "mlflow", "key": "service"}},
            },
        }
    )

    for name, container in _containers(manifests):
        found = _variables(container)
        user = "pipelines" if name.startswith("CronJob") else "service"
        assert found["MLFLOW_TRACKING_USERNAME"] == user
        assert found["MLFLOW_TRACKING_PASSWORD"] == {"secretKeyRef": {"name": "mlflow", "key": user}}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_no_policy_allows_is_denied_to_every_pod(variant: str) -> None:
    manifests = _render(variant)
    policies = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"}
    if variant == "service only":
        assert policies == {}
        return
    denied = policies["churn-default-deny"]

    assert denied["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(denied)
    for _, _, labels in _pods(manifests):
        for policy in ("churn-default-deny", "churn-egress"):
            assert policies[policy]["podSelector"]["matchLabels"].items() <= labels.items()
    for spec in policies.values():
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            assert rule["ports"]
            assert rule.get("from") or rule.get("to")


def test_the_service_is_reached_by_those_who_are_named_only() -> None:
    manifests = _render("defaults")
    policies = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"}
    labels = {name: labels for name, _, labels in _pods(manifests)}
    (rule,) = policies["churn-service"]["ingress"]
    own = [peer["podSelector"]["matchLabels"] for peer in rule["from"] if "podSelector" in peer]
    namespaces = [peer["namespaceSelector"]["matchLabels"] for peer in rule["from"] if "namespaceSelector" in peer]

    assert policies["churn-service"]["podSelector"]["matchLabels"] == labels["Deployment churn"]
    assert own == [labels["CronJob churn-monitoring"], labels["Job churn-smoke-test"], {"churn-client": "true"}]
    assert namespaces == [{"kubernetes.io/metadata.name": name} for name in ("ingress-nginx", "monitoring")]
    assert {port["port"] for one in policies["churn-egress"]["egress"] for port in one["ports"]} == {53, 5000, 5432}


def test_the_alert_rules_are_those_of_the_monitoring(tmp_path: Path) -> None:
    expected = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    with helm.Chart.load(CHART) as chart:
        archive = chart.save(tmp_path)
    # The link is a file in the archive, which is what a registry of charts has.
    with helm.Chart.load(archive) as chart:
        rendered = chart.render(VARIANTS["everything"], name="churn", namespace="scoring")
    (packaged,) = (
        one
        for one in yaml.safe_load_all(rendered["churn/templates/prometheus.yaml"])
        if one["kind"] == "PrometheusRule"
    )

    assert expected
    assert _find(_render("everything"), "PrometheusRule", "churn")["spec"]["groups"] == expected
    assert packaged["spec"]["groups"] == expected


def test_prometheus_reads_the_service_with_its_key() -> None:
    monitor = _find(_render("everything"), "ServiceMonitor", "churn")["spec"]
    service = _find(_render("everything"), "Service", "churn")
    (endpoint,) = monitor["endpoints"]

    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["authorization"]["credentials"] == {"name": "given", "key": "churn_service_key"}


def test_a_pod_is_out_of_the_endpoints_before_it_ends_and_has_time_to_end() -> None:
    spec = _find(_render("defaults"), "Deployment", "churn")["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pause >= 5
    # 30 seconds for requests in progress and 20 for the prediction log: docs/serving.md.
    assert pod["terminationGracePeriodSeconds"] > pause + 30 + 20
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert container["startupProbe"]["httpGet"]["path"] == container["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    # A new pod may take all of its time to start before the upgrade fails.
    startup = container["startupProbe"]
    assert spec["progressDeadlineSeconds"] > startup["periodSeconds"] * startup["failureThreshold"]


@pytest.mark.parametrize("variant", ["defaults", "staging", "production"])
def test_an_eviction_leaves_a_pod_that_serves(variant: str) -> None:
    manifests = _render(variant)
    deployment = _find(manifests, "Deployment", "churn")["spec"]
    budget = _find(manifests, "PodDisruptionBudget", "churn")["spec"]
    scalers = [one["spec"] for one in manifests if one["kind"] == "HorizontalPodAutoscaler"]
    smallest = scalers[0]["minReplicas"] if scalers else deployment["replicas"]

    assert ("replicas" in deployment) == (not scalers)
    assert smallest > budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]
    assert {one["topologyKey"] for one in deployment["template"]["spec"]["topologySpreadConstraints"]} == {
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_commands_of_the_containers_exist_with_their_options(variant: str) -> None:
    for _, container in _containers(_render(variant)):
        name, *arguments = container["args"]
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        command.make_context(name, list(arguments))


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["defaults", "staging", "production"])
def test_jobs_name_use_cases_pipelines_and_parameters_that_exist(variant: str) -> None:
    folders = {path.parent.name for path in (ROOT / "src" / "churn_kedro" / "pipelines").glob("*/pipeline.py")}
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    parameters = {
        name: value
        for path in (ROOT / "conf" / "base" / "parameters").glob("*.yml")
        for name, value in yaml.safe_load(path.read_text(encoding="utf-8")).items()
    }

    assert set(schema["$defs"]["job"]["properties"]["pipelines"]["items"]["enum"]) < folders
    for job in (one for one in _render(variant) if one["kind"] == "CronJob"):
        (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        options = dict(argument.removeprefix("--").split("=", 1) for argument in container["args"][1:])
        assert (ROOT / "conf" / options["env"] / "globals.yml").is_file()
        for given in filter(None, options.get("params", "").split(",")):
            value: Any = parameters
            for part in given.partition("=")[0].split("."):
                value = value[part]


def test_a_job_runs_once_at_a_time_and_ends() -> None:
    jobs = [one["spec"] for one in _render("defaults") if one["kind"] == "CronJob"]

    assert len(jobs) == 3
    for job in jobs:
        spec = job["jobTemplate"]["spec"]
        assert job["concurrencyPolicy"] == "Forbid"
        assert spec["activeDeadlineSeconds"] > 0
        assert spec["template"]["spec"]["restartPolicy"] == "Never"
        statuses, evicted = spec["podFailurePolicy"]["rules"]
        # An alarm and a wrong option are not tried again, an eviction does not count.
        assert (statuses["action"], statuses["onExitCodes"]["values"]) == ("FailJob", [2, 4])
        assert evicted == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_the_smoke_test_asks_for_each_use_case_after_each_change() -> None:
    job = _find(_render("production"), "Job", "churn-smoke-test")
    events = job["metadata"]["annotations"]["helm.sh/hook"].split(",")
    arguments = [container["args"] for container in job["spec"]["template"]["spec"]["containers"]]

    assert set(events) == {"post-install", "post-upgrade", "test"}
    assert [one[:2] for one in arguments] == [["smoke-test", "--env=base"], ["smoke-test", "--env=telco"]]
    assert all("--version=champion" in one for one in arguments)


def test_the_canary_of_kserve_differs_from_the_champion_by_version_and_share_only() -> None:
    champion, canary = (
        yaml.safe_load((KUBERNETES / "kserve" / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("champion", "canary")
    )
    share = canary["spec"]["predictor"].pop("canaryTrafficPercent")
    (served,) = canary["spec"]["predictor"]["containers"]
    served["args"][served["args"].index("--version=challenger")] = "--version=champion"

    assert 0 < share < 100
    assert canary == champion


def test_the_shadow_of_kserve_gets_copies_and_no_answer_is_its_own() -> None:
    manifests = _files("kserve")
    services = {one["metadata"]["name"] for one in manifests if one["kind"] == "InferenceService"}
    (route,) = (one["spec"]["rules"] for one in manifests if one["kind"] == "HTTPRoute")
    (rule,) = route
    (mirror,) = rule["filters"]

    assert services == {"churn", "churn-challenger"}
    assert [one["name"] for one in rule["backendRefs"]] == ["churn-predictor"]
    assert mirror["requestMirror"]["backendRef"]["name"] == "churn-challenger-predictor"


def test_the_commands_of_kserve_exist_with_their_options() -> None:
    for one in _files("kserve"):
        if one["kind"] == "InferenceService":
            (container,) = one["spec"]["predictor"]["containers"]
            command = cli.get_command(None, "serve")  # type: ignore[arg-type]
            assert command is not None
            assert container["args"][0] == "serve"
            command.make_context("serve", container["args"][1:])


def test_experiments_of_seldon_name_models_and_their_server() -> None:
    manifests = _files("seldon")
    models = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "Model"}
    (server,) = (one["spec"] for one in manifests if one["kind"] == "Server")
    canary = _find(manifests, "Experiment", "bank-churn-canary")["spec"]
    shadow = _find(manifests, "Experiment", "bank-churn-shadow")["spec"]

    for model in models.values():
        assert set(server["extraCapabilities"]) < set(model["requirements"])
    assert {one["name"]: one["weight"] for one in canary["candidates"]} == dict(zip(models, (90, 10), strict=True))
    assert [one["name"] for one in shadow["candidates"]] == [shadow["default"]]
    assert {shadow["default"], shadow["mirror"]["name"]} == set(models)
    assert canary["default"] == shadow["default"] == "bank-churn-champion"


@pytest.fixture
def cluster() -> Iterator[tuple[helm.Config, KubernetesApi]]:
    with (
        kubernetes_api() as (configuration, api),
        helm.Config(kubeconfig_content=configuration, namespace="scoring", storage_driver="memory") as connection,
    ):
        yield connection, api


def _image(api: KubernetesApi) -> str:
    image: str = api.objects["deployments", "churn"]["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def _upgrade(connection: helm.Config, tag: str) -> None:
    values = {"images": {"serve": {"tag": tag}}}
    connection.upgrade(CHART, "churn", values, timeout=30, rollback_on_failure=True)


@pytest.mark.slow
def test_the_first_installation_trains_and_the_second_serves(cluster: tuple[helm.Config, KubernetesApi]) -> None:
    connection, api = cluster

    connection.install(CHART, "churn", {"service": {"enabled": False}}, timeout=30)
    assert {kind for kind, _ in api.objects} == {
        "cronjobs", "networkpolicies", "persistentvolumeclaims", "serviceaccounts",
    }  # fmt: skip

    _upgrade(connection, "1.0.0")
    assert _image(api) == "churn-kedro-serve:1.0.0"
    assert ("apply", "jobs", "churn-smoke-test") in api.done


@pytest.mark.slow
def test_an_upgrade_whose_smoke_test_fails_is_rolled_back(cluster: tuple[helm.Config, KubernetesApi]) -> None:
    connection, api = cluster
    connection.install(CHART, "churn", {"images": {"serve": {"tag": "1.0.0"}}}, timeout=30, wait="watcher")

    with pytest.raises(helm.HelmError, match=r"rolled back .* Job/scoring/churn-smoke-test"):
        _upgrade(connection, "failing")

    assert _image(api) == "churn-kedro-serve:1.0.0"
    assert [one["status"] for one in connection.history("churn")] == ["superseded", "failed", "deployed"]
    # Its log can be read.
    assert api.objects["jobs", "churn-smoke-test"]["status"]["failed"] == 1


@pytest.mark.slow
def test_an_upgrade_whose_pods_do_not_become_ready_is_rolled_back_before_its_smoke_test(
    cluster: tuple[helm.Config, KubernetesApi],
) -> None:
    connection, api = cluster
    connection.install(CHART, "churn", {"images": {"serve": {"tag": "1.0.0"}}}, timeout=30, wait="watcher")

    with pytest.raises(helm.HelmError, match=r"rolled back .* Deployment/scoring/churn not ready"):
        _upgrade(connection, "unready")

    assert _image(api) == "churn-kedro-serve:1.0.0"
    assert api.done.count(("apply", "jobs", "churn-smoke-test")) == 1


@pytest.mark.slow
def test_the_tables_outlive_the_release(cluster: tuple[helm.Config, KubernetesApi]) -> None:
    connection, api = cluster
    connection.install(CHART, "churn", {}, timeout=30)

    connection.uninstall("churn", timeout=30)

    assert set(api.objects) == {("persistentvolumeclaims", "churn-data")}
