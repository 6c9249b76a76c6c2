"""What a RayJob may hold, as a JSON Schema: the fields that `sweeps/rayjob.yaml` uses and their neighbours.

Written by hand after the published types (`RayJobSpec`, `RayClusterSpec`, `HeadGroupSpec`, `WorkerGroupSpec`)
of ray-project/kuberay, ray-operator/apis/ray/v1, whence its CRD `ray.io_rayjobs.yaml`, and PodSpec.
Every object is closed, as the API server with strict field validation has it: a misspelt field is an error.
"""

from typing import Any

Schema = dict[str, Any]

TEXT, FLAG, COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
NUMBER = {"type": "number", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": TEXT}
QUANTITY = {
    "anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?([KMGTPE]i?|[mk])?$"}]
}
ANYTHING: Schema = {}


def closed(required: str = "", **fields: Schema) -> Schema:
    """An object of these fields and no others; `required` names some of them."""
    return {
        "type": "object",
        "properties": fields,
        "required": required.split(),
        "additionalProperties": False,
    }


def many(item: Schema) -> Schema:
    return {"type": "array", "items": item}


RESOURCES = closed(
    limits={"type": "object", "additionalProperties": QUANTITY},
    requests={"type": "object", "additionalProperties": QUANTITY},
)
CONTAINER = closed(
    "name",
    name=TEXT,
    image=TEXT,
    imagePullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    command=many(TEXT),
    args=many(TEXT),
    workingDir=TEXT,
    env=many(closed("name", name=TEXT, value=TEXT, valueFrom=ANYTHING)),
    envFrom=many(ANYTHING),
    ports=many(closed("containerPort", containerPort=COUNT, name=TEXT, protocol=TEXT)),
    resources=RESOURCES,
    volumeMounts=many(closed("name mountPath", name=TEXT, mountPath=TEXT, readOnly=FLAG, subPath=TEXT)),
    securityContext=ANYTHING,
    lifecycle=ANYTHING,
)
VOLUME = closed(
    "name",
    name=TEXT,
    persistentVolumeClaim=closed("claimName", claimName=TEXT, readOnly=FLAG),
    emptyDir=closed(medium=TEXT, sizeLimit=QUANTITY),
    secret=ANYTHING,
    configMap=ANYTHING,
    hostPath=ANYTHING,
)
POD = closed(
    "spec",
    metadata=closed(labels=TEXTS, annotations=TEXTS, name=TEXT, namespace=TEXT),
    spec=closed(
        "containers",
        containers=many(CONTAINER) | {"minItems": 1},
        initContainers=many(CONTAINER),
        volumes=many(VOLUME),
        terminationGracePeriodSeconds=COUNT,
        nodeSelector=TEXTS,
        tolerations=many(ANYTHING),
        affinity=ANYTHING,
        serviceAccountName=TEXT,
        imagePullSecrets=many(closed("name", name=TEXT)),
        restartPolicy={"enum": ["Always", "OnFailure", "Never"]},
        securityContext=ANYTHING,
    ),
)
HEAD = closed(
    "rayStartParams template",
    rayStartParams=TEXTS,
    template=POD,
    headService=ANYTHING,
    enableIngress=FLAG,
    serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]},
)
WORKERS = closed(
    "groupName minReplicas maxReplicas rayStartParams template",
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    numOfHosts=COUNT,
    idleTimeoutSeconds=COUNT,
    suspend=FLAG,
    rayStartParams=TEXTS,
    scaleStrategy=closed(workersToDelete=many(TEXT)),
    template=POD,
)
CLUSTER = closed(
    "headGroupSpec",
    rayVersion=TEXT,
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=closed(
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        idleTimeoutSeconds=COUNT,
        image=TEXT,
        imagePullPolicy=TEXT,
        resources=RESOURCES,
        env=many(ANYTHING),
        envFrom=many(ANYTHING),
        volumeMounts=many(ANYTHING),
        securityContext=ANYTHING,
    ),
    headGroupSpec=HEAD,
    workerGroupSpecs=many(WORKERS),
    headServiceAnnotations=TEXTS,
    gcsFaultToleranceOptions=ANYTHING,
    suspend=FLAG,
    managedBy=TEXT,
)
RAYJOB = closed(
    "apiVersion kind metadata spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=closed("name", name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS),
    spec=closed(
        entrypoint=TEXT,
        entrypointNumCpus=NUMBER,
        entrypointNumGpus=NUMBER,
        entrypointResources=TEXT,
        runtimeEnvYAML=TEXT,
        jobId=TEXT,
        metadata=TEXTS,
        clusterSelector=TEXTS,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
        submitterConfig=closed(backoffLimit=COUNT),
        submitterPodTemplate=POD,
        backoffLimit=COUNT,
        activeDeadlineSeconds=COUNT | {"minimum": 1},
        shutdownAfterJobFinishes=FLAG,
        ttlSecondsAfterFinished=COUNT,
        deletionStrategy=ANYTHING,
        suspend=FLAG,
        managedBy=TEXT,
        rayClusterSpec=CLUSTER,
    ),
)
