"""JSON schemas of the Kubernetes fields that our manifests use; any other field is an error.

A subset written by hand from the API references of KubeRay v1.6 (ray.io/v1) and Kubernetes
(batch/v1, core/v1): strict, so that a misspelt field, which the API server would drop, is found.
"""

from typing import Any

STRING = {"type": "string", "minLength": 1}
INTEGER = {"type": "integer", "minimum": 0}
QUANTITY = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|Mi|Gi|Ti)?$"}


def exactly(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with these fields and no other."""
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": sorted(required),
        "additionalProperties": False,
    }


def list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
METADATA = exactly({"name": NAME, "namespace": NAME})
BOOLEAN = {"type": "boolean"}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}
CAPABILITIES = exactly({"drop": list_of(STRING)})
SECCOMP = exactly({"type": {"enum": ["RuntimeDefault", "Localhost", "Unconfined"]}})
CONTAINER_SECURITY = exactly(
    {},
    {
        "allowPrivilegeEscalation": BOOLEAN,
        "readOnlyRootFilesystem": BOOLEAN,
        "capabilities": CAPABILITIES,
        "runAsNonRoot": BOOLEAN,
        "runAsUser": INTEGER,
        "seccompProfile": SECCOMP,
    },
)
VOLUME = {
    "oneOf": [
        exactly({"name": NAME, "configMap": exactly({"name": NAME})}),
        exactly({"name": NAME, "emptyDir": exactly({}, {"sizeLimit": QUANTITY, "medium": STRING})}),
        exactly({"name": NAME, "persistentVolumeClaim": exactly({"claimName": NAME})}),
        exactly({"name": NAME, "secret": exactly({"secretName": NAME}, {"defaultMode": INTEGER})}),
    ]
}
RESOURCES = {
    "type": "object",
    "propertyNames": {"enum": ["cpu", "memory", "nvidia.com/gpu", "ephemeral-storage"]},
    "additionalProperties": QUANTITY,
}
ENV = exactly(
    {"name": STRING},
    {
        "value": {"type": "string"},
        "valueFrom": exactly({"secretKeyRef": exactly({"name": STRING, "key": STRING})}),
    },
)
CONTAINER = exactly(
    {
        "name": NAME,
        "image": STRING,
        "resources": exactly({"requests": RESOURCES, "limits": RESOURCES}),
    },
    {
        "command": list_of(STRING),
        "args": list_of(STRING),
        "env": list_of(ENV),
        "ports": list_of(exactly({"containerPort": INTEGER, "name": NAME})),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": list_of(
            exactly({"name": NAME, "mountPath": STRING}, {"readOnly": {"type": "boolean"}})
        ),
    },
)
POD_SPEC = exactly(
    {"containers": list_of(CONTAINER)},
    {
        "volumes": list_of(VOLUME),
        "serviceAccountName": NAME,
        "automountServiceAccountToken": {"type": "boolean"},
        "terminationGracePeriodSeconds": INTEGER,
        "restartPolicy": {"enum": ["Always", "OnFailure", "Never"]},
        "securityContext": exactly(
            {"runAsNonRoot": BOOLEAN, "runAsUser": INTEGER},
            {"runAsGroup": INTEGER, "fsGroup": INTEGER, "seccompProfile": SECCOMP},
        ),
        "tolerations": list_of(
            exactly(
                {"key": STRING, "operator": {"enum": ["Exists", "Equal"]}},
                {"effect": {"enum": ["NoSchedule", "NoExecute", "PreferNoSchedule"]}},
            )
        ),
    },
)
RAY_START_PARAMS = {"type": "object", "additionalProperties": {"type": "string"}}
POD_TEMPLATE = exactly({"spec": POD_SPEC}, {"metadata": exactly({"labels": LABELS})})
RAY_CLUSTER_SPEC = exactly(
    {
        "rayVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "authOptions": exactly({"mode": {"enum": ["token", "disabled"]}}),
        "headGroupSpec": exactly({"rayStartParams": RAY_START_PARAMS, "template": POD_TEMPLATE}),
        "workerGroupSpecs": list_of(
            exactly(
                {
                    "groupName": NAME,
                    "replicas": INTEGER,
                    "minReplicas": INTEGER,
                    "maxReplicas": INTEGER,
                    "rayStartParams": RAY_START_PARAMS,
                    "template": POD_TEMPLATE,
                }
            )
        ),
    },
    {
        "enableInTreeAutoscaling": {"type": "boolean"},
        "autoscalerOptions": exactly(
            {"idleTimeoutSeconds": INTEGER}, {"securityContext": CONTAINER_SECURITY}
        ),
    },
)
RAY_CLUSTER = exactly(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayCluster"},
        "metadata": METADATA,
        "spec": RAY_CLUSTER_SPEC,
    }
)
RAY_JOB = exactly(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": METADATA,
        "spec": exactly(
            {
                "entrypoint": STRING,
                "rayClusterSpec": RAY_CLUSTER_SPEC,
                "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "SidecarMode"]},
            },
            {
                "shutdownAfterJobFinishes": {"type": "boolean"},
                "ttlSecondsAfterFinished": INTEGER,
                "activeDeadlineSeconds": INTEGER,
                "backoffLimit": INTEGER,
            },
        ),
    }
)
CRON_JOB = exactly(
    {
        "apiVersion": {"const": "batch/v1"},
        "kind": {"const": "CronJob"},
        "metadata": METADATA,
        "spec": exactly(
            {
                "schedule": {"type": "string", "pattern": r"^(\S+ ){4}\S+$"},
                "concurrencyPolicy": {"enum": ["Allow", "Forbid", "Replace"]},
                "jobTemplate": exactly(
                    {
                        "spec": exactly(
                            {"template": POD_TEMPLATE},
                            {
                                "backoffLimit": INTEGER,
                                "activeDeadlineSeconds": INTEGER,
                                "ttlSecondsAfterFinished": INTEGER,
                            },
                        )
                    }
                ),
            },
            {
                "timeZone": STRING,
                "startingDeadlineSeconds": INTEGER,
                "successfulJobsHistoryLimit": INTEGER,
                "failedJobsHistoryLimit": INTEGER,
            },
        ),
    }
)

SELECTOR = exactly({}, {"matchLabels": LABELS})
PEER = {
    "oneOf": [
        exactly({"podSelector": SELECTOR}, {"namespaceSelector": SELECTOR}),
        exactly({"namespaceSelector": SELECTOR}),
        exactly({"ipBlock": exactly({"cidr": STRING}, {"except": list_of(STRING)})}),
    ]
}
PORTS = list_of(exactly({"protocol": {"enum": ["TCP", "UDP"]}, "port": INTEGER}))
NETWORK_POLICY = exactly(
    {
        "apiVersion": {"const": "networking.k8s.io/v1"},
        "kind": {"const": "NetworkPolicy"},
        "metadata": METADATA,
        "spec": exactly(
            {
                "podSelector": SELECTOR,
                "policyTypes": list_of({"enum": ["Ingress", "Egress"]}),
            },
            {
                "ingress": list_of(exactly({"from": list_of(PEER)}, {"ports": PORTS})),
                "egress": list_of(exactly({"to": list_of(PEER)}, {"ports": PORTS})),
            },
        ),
    }
)
AMOUNTS = {"type": "object", "additionalProperties": QUANTITY, "minProperties": 1}


def core(kind: str, more: dict[str, Any], *, api: str = "v1") -> dict[str, Any]:
    """A named object of Kubernetes."""
    fixed = {"apiVersion": {"const": api}, "kind": {"const": kind}}
    return exactly({**fixed, "metadata": METADATA, **more})


LIMITS = exactly(
    {"type": {"enum": ["Container", "Pod"]}}, {"default": AMOUNTS, "defaultRequest": AMOUNTS}
)
NAMESPACED = {
    "ServiceAccount": exactly(
        {"apiVersion": {"const": "v1"}, "kind": {"const": "ServiceAccount"}, "metadata": METADATA},
        {"automountServiceAccountToken": BOOLEAN},
    ),
    "ResourceQuota": core("ResourceQuota", {"spec": exactly({"hard": AMOUNTS})}),
    "LimitRange": core("LimitRange", {"spec": exactly({"limits": list_of(LIMITS)})}),
    "PodDisruptionBudget": core(
        "PodDisruptionBudget",
        {"spec": exactly({"selector": SELECTOR}, {"maxUnavailable": INTEGER})},
        api="policy/v1",
    ),
    "PersistentVolumeClaim": core(
        "PersistentVolumeClaim",
        {
            "spec": exactly(
                {
                    "accessModes": list_of({"enum": ["ReadWriteMany", "ReadWriteOnce"]}),
                    "resources": exactly({"requests": AMOUNTS}),
                },
                {"storageClassName": NAME},
            )
        },
    ),
    "Namespace": exactly(
        {
            "apiVersion": {"const": "v1"},
            "kind": {"const": "Namespace"},
            "metadata": exactly({"name": NAME}, {"labels": LABELS}),
        }
    ),
    "NetworkPolicy": NETWORK_POLICY,
    "RayCluster": RAY_CLUSTER,
    "RayJob": RAY_JOB,
    "CronJob": CRON_JOB,
}
