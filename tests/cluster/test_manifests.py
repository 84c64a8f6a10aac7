"""The Kubernetes manifests: a strict schema, and the operator's rules that no schema holds."""

from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.main import get_command

from tests.cluster.schemas import NAMESPACED, RAY_JOB
from vlmsel.cli.app import app

KUBERAY = Path(__file__).parents[2] / "cluster" / "kuberay"


def load(name):
    return yaml.safe_load((KUBERAY / name).read_text())


def cluster_specs():
    return [load("raycluster.yaml")["spec"], load("rayjob.yaml")["spec"]["rayClusterSpec"]]


def documents():
    return [
        (path.name, document)
        for path in sorted(KUBERAY.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]


@pytest.mark.parametrize(("name", "document"), documents(), ids=lambda item: str(item)[:30])
def test_every_manifest_fits_its_schema(name, document):
    jsonschema.validate(document, NAMESPACED[document["kind"]])
    assert document["metadata"].get("namespace", document["metadata"]["name"]) == "vlmsel"


def test_the_schema_finds_a_misspelt_field():
    job = load("rayjob.yaml")
    job["spec"]["backofLimit"] = 1
    with pytest.raises(jsonschema.ValidationError, match="backofLimit"):
        jsonschema.validate(job, RAY_JOB)


def test_rayjob_keeps_the_operators_rules():
    job = load("rayjob.yaml")
    spec = job["spec"]
    # The operator appends to the name and refuses more than 47 characters.
    assert len(job["metadata"]["name"]) <= 47
    # A time to live is only honoured where the cluster is shut down.
    assert "ttlSecondsAfterFinished" not in spec or spec["shutdownAfterJobFinishes"]
    assert spec["activeDeadlineSeconds"] > 0
    # A retry makes a new cluster: only a shared store can be resumed from.
    assert (
        spec["backoffLimit"] == 0 or "s3://" in spec["entrypoint"] or "gs://" in spec["entrypoint"]
    )


@pytest.mark.parametrize("spec", cluster_specs(), ids=["raycluster", "rayjob"])
def test_clusters_keep_the_operators_rules(spec):
    major, minor, _ = map(int, spec["rayVersion"].split("."))
    assert (major, minor) >= (2, 52), "token authentication needs Ray 2.52"
    assert spec["authOptions"]["mode"] == "token"
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    names = [group["groupName"] for group in spec["workerGroupSpecs"]]
    assert len(names) == len(set(names))
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert spec["enableInTreeAutoscaling"] or group["replicas"] > 0
        container = group["template"]["spec"]["containers"][0]
        # Kubernetes refuses a GPU whose limit differs from its request.
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert requests["nvidia.com/gpu"] == limits["nvidia.com/gpu"]
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        assert mounts == {volume["name"] for volume in group["template"]["spec"]["volumes"]}


def test_rayjob_and_standing_cluster_do_not_drift_apart():
    standing, own = cluster_specs()
    for spec in (standing, own):
        spec.pop("autoscalerOptions")
    assert standing == own


def test_cronjob_cannot_overlap_and_tells_the_truth():
    cron = load("refresh-cronjob.yaml")["spec"]
    assert cron["concurrencyPolicy"] == "Forbid"
    pod = cron["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] in {"Never", "OnFailure"}, "a Job allows no other"
    (script,) = pod["containers"][0]["args"]
    assert '--submission-id "vlmsel-refresh-$(date -u +%F)"' in script
    # An id is used once, so a second try of the same day could only be refused.
    assert cron["jobTemplate"]["spec"]["backoffLimit"] == 0
    # The token is read from the Secret that the operator made for the cluster of this name.
    secrets = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
    assert secrets == [load("raycluster.yaml")["metadata"]["name"]]
    environment = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "token"]
    assert environment["RAY_AUTH_TOKEN_PATH"] == f"{mount['mountPath']}/auth_token"


def entrypoints():
    cron = load("refresh-cronjob.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return [load("rayjob.yaml")["spec"]["entrypoint"], cron["containers"][0]["args"][0]]


@pytest.mark.parametrize("entry", entrypoints(), ids=["rayjob", "cronjob"])
def test_a_cluster_without_workers_is_asked_for_its_gpus(entry):
    words = entry.split()
    command = words[words.index("vlmsel") :]
    # What the command line itself understands, and no more GPUs than the cluster may have.
    asked = int(command[command.index("--n-gpus") + 1])
    for spec in cluster_specs():
        groups = spec["workerGroupSpecs"]
        assert sum(group["replicas"] for group in groups) == 0
        assert 0 < asked <= sum(group["maxReplicas"] for group in groups)
    known = {
        option
        for parameter in get_command(app).commands["refresh"].loaded.params
        for option in parameter.opts
    }
    assert {word for word in command if word.startswith("--")} <= known


@pytest.mark.parametrize("spec", cluster_specs(), ids=["raycluster", "rayjob"])
def test_the_head_which_plans_may_read_and_write_the_store(spec):
    head = spec["headGroupSpec"]["template"]["spec"]
    assert head["serviceAccountName"] == "vlmsel-head"
    # The head's account may start pods; a worker, which reads foreign images, may not.
    for group in spec["workerGroupSpecs"]:
        assert group["template"]["spec"]["serviceAccountName"] == "vlmsel-worker"
