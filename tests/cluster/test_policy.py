"""What every pod, image, account and network of ours must keep, whatever else a manifest says."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
# The longest a floating tag can look like a version: one number after the name.
FIXED = re.compile(r"(@sha256:[0-9a-f]{64}|:\d+\.\d+\.\d+([.-][\w.-]+)?)$")


def documents():
    return [
        document
        for path in sorted((CLUSTER / "kuberay").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]


def templates(node, path=""):
    """Every pod template below a document, with its place."""
    if isinstance(node, dict):
        if "containers" in node.get("spec", {}):
            yield path, node
        for key, value in node.items():
            yield from templates(value, f"{path}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from templates(value, f"{path}/{number}")


PODS = [
    pytest.param(template, id=f"{document['kind']}{place}")
    for document in documents()
    for place, template in templates(document)
]


def broken_rules(template):
    """The rules of Kubernetes' restricted profile, and ours, that a pod does not keep."""
    pod = template["spec"]
    context = pod.get("securityContext", {})
    rules = {
        "runs as root": not (context.get("runAsNonRoot") and context.get("runAsUser")),
        "no seccomp": context.get("seccompProfile") != {"type": "RuntimeDefault"},
        "host": any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
        "host path": any("hostPath" in volume for volume in pod.get("volumes", [])),
    }
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        resources = container.get("resources", {})
        rules |= {
            "escalates": own.get("allowPrivilegeEscalation") is not False,
            "capabilities": own.get("capabilities", {}).get("drop") != ["ALL"],
            "root is writable": own.get("readOnlyRootFilesystem") is not True,
            "floating image": not FIXED.search(container["image"]),
            "no limits": not {"cpu", "memory", "ephemeral-storage"} <= set(resources["limits"]),
            "secret in the environment": any("valueFrom" in e for e in container.get("env", [])),
        }
    return {rule for rule, is_broken in rules.items() if is_broken}


@pytest.mark.parametrize("template", PODS)
def test_every_pod_keeps_every_rule(template):
    assert broken_rules(template) == set()


def test_the_rules_are_no_formality():
    """A pod as one writes it at first breaks all that it can."""
    pod = {
        "containers": [{"image": "vlmsel:latest", "resources": {"limits": {"cpu": "1"}}}],
        "hostNetwork": True,
        "volumes": [{"name": "docker", "hostPath": {"path": "/var/run"}}],
    }
    assert len(broken_rules({"spec": pod})) == 9


@pytest.mark.parametrize("tag", ["latest", "0.1", "3.11-slim", "stable", "v1"])
def test_floating_tags_are_told_apart(tag):
    assert not FIXED.search(f"vlmsel:{tag}")
    assert FIXED.search("vlmsel:0.1.0")
    assert FIXED.search("x.org/vlmsel@sha256:" + "0" * 64)


def test_only_the_head_may_speak_to_kubernetes():
    with_token = {
        place
        for document in documents()
        for place, template in templates(document)
        if template["spec"].get("automountServiceAccountToken") is not False
    }
    assert {place.rpartition("/headGroupSpec/")[2] for place in with_token} == {"template"}


def test_what_is_written_lies_on_volumes_with_a_bound():
    for document in documents():
        for _, template in templates(document):
            pod = template["spec"]
            mounted = {m["mountPath"] for c in pod["containers"] for m in c["volumeMounts"]}
            assert {"/tmp", "/home/ray"} <= mounted
            for volume in pod["volumes"]:
                assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": True})


def policies():
    return [document for document in documents() if document["kind"] == "NetworkPolicy"]


def test_nothing_is_open_that_no_policy_opens():
    closed = [p for p in policies() if p["spec"]["podSelector"] == {}]
    assert [p["spec"]["policyTypes"] for p in closed] == [["Ingress", "Egress"]]
    assert not any({"ingress", "egress"} & set(p["spec"]) for p in closed)


def test_rays_ports_are_for_the_cluster_and_the_job_api_for_the_submitter():
    (ray,) = [p for p in policies() if p["metadata"]["name"] == "vlmsel-ray"]
    for rule in ray["spec"]["ingress"]:
        if "ports" not in rule:
            labels = [peer["podSelector"]["matchLabels"] for peer in rule["from"]]
            assert labels == [{"ray.io/is-ray-node": "yes"}]
        else:
            assert [port["port"] for port in rule["ports"]] == [8265]
    cron = next(d for d in documents() if d["kind"] == "CronJob")
    labels = cron["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    allowed = [
        peer.get("podSelector", {}).get("matchLabels")
        for rule in ray["spec"]["ingress"]
        for peer in rule["from"]
    ]
    assert labels in allowed


def test_the_metadata_service_of_the_node_is_out_of_reach():
    blocks = [
        peer["ipBlock"]
        for policy in policies()
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert blocks
    for block in blocks:
        assert "169.254.0.0/16" in block["except"]


def test_a_quota_holds_what_the_cluster_may_grow_to():
    (quota,) = [d["spec"]["hard"] for d in documents() if d["kind"] == "ResourceQuota"]
    (cluster,) = [d["spec"] for d in documents() if d["kind"] == "RayCluster"]
    groups = cluster["workerGroupSpecs"]
    n_gpus = sum(group["maxReplicas"] for group in groups)
    assert int(quota["requests.nvidia.com/gpu"]) == n_gpus
    memory = sum(
        group["maxReplicas"]
        * int(group["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"][:-2])
        for group in groups
    )
    assert int(quota["requests.memory"][:-2]) > memory


def actions(name):
    policy = json.loads((CLUSTER / "policies" / name).read_text())
    assert all(s["Effect"] == "Allow" and s["Resource"] for s in policy["Statement"])
    return {action for s in policy["Statement"] for action in s["Action"]}


def test_workers_write_the_store_and_delete_nothing():
    assert actions("aws-head.json") - actions("aws-worker.json") == {"s3:DeleteObject"}
    for name in ("aws-head.json", "aws-worker.json"):
        assert not any("*" in action for action in actions(name))


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_launched_nodes_have_private_addresses_and_a_group_of_ours(name):
    config = yaml.safe_load((CLUSTER / name).read_text())
    assert config["provider"]["use_internal_ips"] is True
    assert FIXED.search(config["docker"]["image"])
    for node in config["available_node_types"].values():
        if name == "aws.yaml":
            # Ray's own group lets in SSH from anywhere.
            assert node["node_config"]["SecurityGroupIds"]
            assert node["node_config"]["SubnetIds"]
        else:
            (interface,) = node["node_config"]["networkInterfaces"]
            assert "accessConfigs" not in interface


def test_the_image_is_built_on_a_base_that_is_named_and_without_the_tests_tools():
    lines = (CLUSTER / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("FROM")] == ["FROM ${BASE_IMAGE}"]
    # No default: a base without a digest is nobody's oversight.
    assert "ARG BASE_IMAGE" in lines
    installs = [line for line in lines if "pip install" in line]
    assert "--require-hashes -r requirements-runtime.lock" in installs[0]
    assert all("--require-hashes" in line or "--no-deps ./*.whl" in line for line in installs)
    assert "USER ray" in lines


def locked(name):
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([A-Za-z0-9_.\[\]-]+)==([^ ;\\\n]+)", text, re.MULTILINE))


def test_what_runs_is_a_part_of_what_is_tested():
    tested, runs = locked("requirements.lock"), locked("requirements-runtime.lock")
    assert runs.items() <= tested.items()
    for tool in ("pytest", "playwright", "moto", "captum", "pyright", "boto3", "hypothesis"):
        assert tool in tested
        assert tool not in runs
    assert version("ray") == runs["ray"]
