# SPDX-License-Identifier: Apache-2.0
"""What one container is given: command, variables, volumes, identity, limits."""

from __future__ import annotations

import base64
from typing import Any

from tests.conformance.pods.harness import Engine, Outcome, behaviour, pod, scenario

ENVIRONMENT = "tasks/inject-data-application/"
VOLUMES = "concepts/storage/volumes/"
SECURITY = "tasks/configure-pod-container/security-context/"
POD_API = "reference/kubernetes-api/workload-resources/pod-v1/"

SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "keys"},
    "data": {"token": base64.b64encode(b"top secret").decode()},
    "stringData": {"lines": "one\ntwo"},
}
CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"MODE": "fast", "LEVEL": "3", "app.conf": "x = 1\n"},
}


@scenario
def told(engine: Engine) -> Outcome:
    """What variables and words become."""

    def key(kind: str, name: str, key: str, **more: Any) -> dict[str, Any]:
        return {"valueFrom": {f"{kind}KeyRef": {"name": name, "key": key, **more}}}

    def of_pod(path: str) -> dict[str, Any]:
        return {"valueFrom": {"fieldRef": {"fieldPath": path}}}

    variables = [
        {"name": "EARLY", "value": "$(LATE) $(EARLIER)"},
        {"name": "EARLIER", "value": "a"},
        {"name": "LATE", "value": "$(EARLIER)b $$(EARLIER) $(MODE) $(FROM_IMAGE) $x $$"},
        {"name": "LEVEL", "value": "own"},
        {"name": "TOKEN", **key("secret", "keys", "token")},
        {"name": "LINES", **key("secret", "keys", "lines")},
        {"name": "CONFIG", **key("configMap", "settings", "MODE")},
        {"name": "ABSENT", **key("secret", "none", "none", optional=True)},
        {"name": "POD", **of_pod("metadata.name")},
        {"name": "APP", **of_pod("metadata.labels['app']")},
        {
            "name": "MEMORY",
            "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
        },
        {"name": "PATH", "value": "/bin:/own"},
    ]
    both = [
        {"configMapRef": {"name": "settings"}},
        {"prefix": "P_", "configMapRef": {"name": "settings"}},
    ]
    words = ["sh", "-c", 'env; echo "LATE is $0, $1"', "$(LATE)", "$(NONE) $$(LATE)"]
    document = pod(
        "told",
        containers=[
            {
                "name": "env",
                "image": engine.image,
                "command": words,
                "env": variables,
                "envFrom": both,
                "resources": {"limits": {"memory": "64Mi"}},
            },
            {"name": "plain", "image": engine.image},
            {"name": "args", "image": engine.image, "args": ["given", "args"]},
            {"name": "command", "image": engine.image, "command": ["echo"]},
            {
                "name": "both",
                "image": engine.image,
                "command": ["echo", "command"],
                "args": ["and args"],
            },
            engine.container("where", "pwd", workingDir="/etc"),
            engine.container("hosts", "cat /etc/hosts"),
        ],
        hostAliases=[{"ip": "192.0.2.7", "hostnames": ["one.example", "two.example"]}],
    )
    document["metadata"]["labels"] = {"app": "labelled"}
    return engine.run(document, SECRET, CONFIG_MAP)


def variables(engine: Engine) -> dict[str, str]:
    lines = told(engine).lines("env")
    return dict(line.partition("=")[::2] for line in lines if "=" in line)


@behaviour(f"{ENVIRONMENT}define-interdependent-environment-variables/")
def test_variables_use_those_before_them(engine: Engine) -> None:
    """$(VAR) is the value of a variable that stands before; what stands later, or only in the
    image, stays as it is written; $$ is a dollar sign."""
    found = variables(engine)
    assert found["EARLY"] == "$(LATE) $(EARLIER)"
    assert found["LATE"] == "ab $(EARLIER) fast $(FROM_IMAGE) $x $"


@behaviour(
    f"{ENVIRONMENT}define-command-argument-container/#use-environment-variables-to-define-arguments"
)
def test_commands_and_arguments_are_expanded(engine: Engine) -> None:
    """$(VAR) in command and args is any variable of the container."""
    late = variables(engine)["LATE"]
    assert f"LATE is {late}, $(NONE) $(LATE)" in told(engine).lines("env")


@behaviour(
    "tasks/configure-pod-container/configure-pod-configmap/#configure-all-key-value-pairs-in-a-configmap-as-container-environment-variables"
)
def test_whole_config_maps_become_variables(engine: Engine) -> None:
    """envFrom gives each key, with its prefix; env is laid over it."""
    found = variables(engine)
    assert (found["MODE"], found["P_MODE"], found["P_LEVEL"], found["LEVEL"]) == (
        "fast",
        "fast",
        "3",
        "own",
    )


@behaviour(
    f"{ENVIRONMENT}distribute-credentials-secure/#define-container-environment-variables-using-secret-data"
)
def test_secrets_become_variables(engine: Engine) -> None:
    """secretKeyRef and configMapKeyRef give one key; a missing optional one gives none."""
    found = variables(engine)
    assert (found["TOKEN"], found["CONFIG"], "ABSENT" in found) == ("top secret", "fast", False)
    assert "two" in told(engine).lines("env")


@behaviour(f"{ENVIRONMENT}environment-variable-expose-pod-information/")
def test_fields_of_the_pod_become_variables(engine: Engine) -> None:
    """fieldRef and resourceFieldRef give fields of the pod, and limits by their divisor."""
    found = variables(engine)
    assert (found["POD"], found["APP"], found["MEMORY"]) == ("told", "labelled", "64")


@behaviour("concepts/containers/images/")
def test_the_images_own_variables_stay(engine: Engine) -> None:
    """Variables of the image are there, unless the pod has them."""
    assert variables(engine)["FROM_IMAGE"] == "image"
    assert variables(engine)["PATH"] == "/bin:/own"


@behaviour(f"{ENVIRONMENT}define-command-argument-container/")
def test_command_and_args_override_the_image(engine: Engine) -> None:
    """args replace CMD; command replaces ENTRYPOINT, and CMD with it."""
    outcome = told(engine)
    assert outcome.lines("plain") == ["entrypoint: from cmd"]
    assert outcome.lines("args") == ["entrypoint: given args"]
    assert outcome.lines("command") == [""]
    assert outcome.lines("both") == ["command and args"]
    assert outcome.lines("where") == ["/etc"]


@behaviour("tasks/network/customize-hosts-file-for-pods/")
def test_host_aliases_are_in_the_hosts_file(engine: Engine) -> None:
    """hostAliases stand in /etc/hosts of every container."""
    found = [line.split() for line in told(engine).lines("hosts")]
    assert ["192.0.2.7", "two.example"] in [[line[0], name] for line in found for name in line[1:]]


LOOK = """
    cd /v; stat -c '%n %a %g' disk memory; df memory | tail -1
    cat secret/deep/token; echo; stat -c '%n %a %g' secret/deep/token
    for each in secret config image; do touch $each/new 2>/dev/null && echo $each writable; done
    cat config/app.conf labels/labels; echo; cat claim/kept; echo written > claim/new
    ls image/bin/busybox; echo mine > disk/mine; stat -c '%n %u %g' disk/mine; id; cat /shm/a
"""
LOOK_AS_ANOTHER = """
    cat /disk/mine; ls /part; touch /part/b; cat /etc/app.conf
    touch /new 2>/dev/null || echo read-only; id -u; id -G
    grep NoNewPrivs /proc/self/status; grep CapBnd /proc/self/status
"""


def volumes_of_every_kind(image: str) -> list[dict[str, Any]]:
    token = {"key": "token", "path": "deep/token", "mode": 0o400}
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    return [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Mi"}},
        {"name": "secret", "secret": {"secretName": "keys", "items": [token]}},
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "labels", "downwardAPI": {"items": [labels]}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "image", "image": {"reference": image}},
    ]


def at(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "mountPath": path, **more}


def another_user(engine: Engine) -> dict[str, Any]:
    """A container that may little, and sees parts of the volumes."""
    return engine.container(
        "other",
        "while ! test -f /disk/mine; do sleep 0.1; done; " + LOOK_AS_ANOTHER,
        volumeMounts=[
            at("disk", "/disk", readOnly=True),
            at("disk", "/part", subPathExpr="part/$(PART)"),
            at("config", "/etc/app.conf", subPath="app.conf"),
        ],
        env=[{"name": "PART", "value": "one"}],
        securityContext={
            "runAsUser": 1234,
            "runAsGroup": 77,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    )


@scenario
def mounted(engine: Engine) -> Outcome:
    """Volumes of every kind, as different users see them."""
    volumes = volumes_of_every_kind(engine.image)
    mounts = [at(each["name"], f"/v/{each['name']}") for each in volumes]
    before = "echo in memory > /v/memory/a; mkdir -p /v/disk/part/one; touch /v/disk/part/one/a"
    look = engine.container(
        "look",
        "sleep 0.5;" + LOOK,
        volumeMounts=[*mounts, at("memory", "/shm")],
        securityContext={"runAsUser": 1000},
    )
    document = pod(
        "mounted",
        securityContext={"fsGroup": 2000, "supplementalGroups": [3000]},
        volumes=volumes,
        initContainers=[engine.container("first", before, volumeMounts=mounts)],
        containers=[look, another_user(engine)],
    )
    document["metadata"]["labels"] = {"app": "x", "b": "y"}
    return engine.run(document, SECRET, CONFIG_MAP, words=["--volume", f"data={engine.claim}"])


@behaviour(f"{VOLUMES}#emptydir")
def test_an_empty_dir_is_everybodys(engine: Engine) -> None:
    """All containers of the pod see the same emptyDir, and anybody may write to it."""
    outcome = mounted(engine)
    assert "disk 2777 2000" in outcome.lines("look")
    assert outcome.lines("other")[0] == "mine"


@behaviour(f"{VOLUMES}#emptydir")
def test_an_empty_dir_in_memory_has_its_size(engine: Engine) -> None:
    """medium Memory is a tmpfs of sizeLimit, and keeps what an init container wrote."""
    lines = mounted(engine).lines("look")
    assert [line.split()[:2] for line in lines if line.startswith("tmpfs")] == [["tmpfs", "2048"]]
    assert "in memory" in lines


@behaviour(f"{VOLUMES}#secret")
def test_secrets_and_config_maps_are_read_only_files(engine: Engine) -> None:
    """Keys are files with their modes, below the paths that items give; nobody writes there."""
    lines = mounted(engine).lines("look")
    assert "top secret" in lines
    assert "secret/deep/token 440 2000" in lines
    assert "x = 1" in lines
    assert not [line for line in lines if line.endswith("writable")]


@behaviour("concepts/workloads/pods/downward-api/")
def test_fields_of_the_pod_are_files_too(engine: Engine) -> None:
    """A downwardAPI volume has labels as lines of key and quoted value."""
    lines = mounted(engine).lines("look")
    assert {'app="x"', 'b="y"'} <= set(lines)


@behaviour("concepts/storage/persistent-volumes/")
def test_a_claim_outlives_the_pod(engine: Engine) -> None:
    """What a pod writes to a claim's volume is there afterwards."""
    assert "kept" in mounted(engine).lines("look")
    assert (engine.claim / "new").read_text() == "written\n"


@behaviour(f"{VOLUMES}#image")
def test_an_image_is_a_volume(engine: Engine) -> None:
    """An image volume has the image's files, read-only."""
    assert "image/bin/busybox" in mounted(engine).lines("look")


@behaviour(f"{VOLUMES}#using-subpath")
def test_a_part_of_a_volume_is_mounted(engine: Engine) -> None:
    """subPath mounts a folder or one file; subPathExpr names it with variables."""
    assert mounted(engine).lines("other")[1:3] == ["a", "x = 1"]


@behaviour(f"{SECURITY}#set-the-security-context-for-a-pod")
def test_users_and_groups_are_the_pods(engine: Engine) -> None:
    """runAsUser, runAsGroup, supplementalGroups and fsGroup are who the container is, and new files
    of a volume are fsGroup's."""
    outcome = mounted(engine)
    assert "disk/mine 1000 2000" in outcome.lines("look")
    assert outcome.lines("other")[3:6] == ["read-only", "1234", "77 2000 3000"]


@behaviour(f"{SECURITY}#set-capabilities-for-a-container")
def test_privileges_are_taken_away(engine: Engine) -> None:
    """Capabilities are dropped, and allowPrivilegeEscalation: false sets no_new_privs."""
    lines = mounted(engine).lines("other")
    assert lines[6].split() == ["NoNewPrivs:", "1"]
    assert lines[7].split() == ["CapBnd:", "0000000000000000"]


@scenario
def sharing(engine: Engine) -> Outcome:
    return engine.run(
        pod(
            "sharing",
            shareProcessNamespace=True,
            initContainers=[engine.sidecar("server", "exec sleep 77")],
            containers=[
                engine.container(
                    "task",
                    "sleep 0.3; ps -o args | grep -c '^sleep 77'; echo $$",
                )
            ],
        )
    )


@behaviour("tasks/configure-pod-container/share-process-namespace/")
def test_processes_are_shared_if_the_pod_says_so(engine: Engine) -> None:
    """With shareProcessNamespace containers see each other's processes, and none is process 1."""
    lines = sharing(engine).lines("task")
    assert lines[0] == "1"
    assert lines[-1] != "1"


@behaviour(f"{SECURITY}#set-the-security-context-for-a-pod")
def test_run_as_non_root_keeps_root_out(engine: Engine) -> None:
    """runAsNonRoot refuses a container whose user is root."""
    outcome = engine.run(
        pod(
            "root",
            securityContext={"runAsNonRoot": True},
            containers=[engine.container("main", "id")],
        )
    )
    assert outcome.code == 10
    assert any("runAsNonRoot, and it would run as root" in note for note in outcome.notes)
