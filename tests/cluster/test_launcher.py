"""The cluster launcher files: Ray's own validation, and what we promise about them."""

from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

CLUSTER = Path(__file__).parents[2] / "cluster"
LAUNCHERS = ("aws.yaml", "gcp.yaml")


def load(name):
    return yaml.safe_load((CLUSTER / name).read_text())


def check(config):
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(config))


@pytest.mark.parametrize("name", LAUNCHERS)
def test_ray_accepts_it(name):
    check(load(name))


def test_the_check_finds_a_misspelt_key():
    config = load("aws.yaml") | {"max_worker": 3}
    with pytest.raises(Exception, match="max_worker"):
        check(config)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_head_does_no_work(name):
    config = load(name)
    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert any("--num-cpus=0" in line for line in config["head_start_ray_commands"])


@pytest.mark.parametrize("name", LAUNCHERS)
def test_workers_are_spot_gpus_that_scale_from_zero(name):
    config = load(name)
    workers = {k: v for k, v in config["available_node_types"].items() if k != "head"}
    assert workers
    for worker in workers.values():
        assert worker["min_workers"] == 0
        assert worker["resources"]["GPU"] >= 1
        assert "spot" in yaml.safe_dump(worker["node_config"]).lower()


@pytest.mark.parametrize("name", LAUNCHERS)
def test_token_and_loopback_by_default(name):
    config = load(name)
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert "/home/ray/.ray/auth_token" in config["file_mounts"]
    start = " ".join(config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in start
    assert "0.0.0.0" not in start


def test_manifests_name_the_installed_ray():
    text = (CLUSTER / "kuberay/raycluster.yaml").read_text()
    assert yaml.safe_load(text)["spec"]["rayVersion"] == version("ray")
