# SPDX-License-Identifier: Apache-2.0
"""The YAML that pods, secrets and config maps come in."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from imagekit.errors import PodError
from imagekit.pods.documents import load_data, load_documents

POD = "kind: Pod\nmetadata: {name: p}\n"
SECRET = "kind: Secret\nmetadata: {name: s}\n"


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(PodError) as caught:
        load_documents(text, "pod.yaml")
    return caught.value.problems


def test_data_beside_the_pod_is_read() -> None:
    """Secrets are base64 in `data` and text in `stringData`; config maps the other way round."""
    encoded = base64.b64encode(b"\xff\n").decode()
    text = (
        f"{POD}---\n---\n{SECRET}data: {{a: {encoded}}}\nstringData: {{b: text}}\n---\n"
        f"kind: ConfigMap\nmetadata: {{name: c}}\ndata: {{a: text}}\nbinaryData: {{b: {encoded}}}\n"
    )
    pod, data = load_documents(text, "pod.yaml")
    assert pod["metadata"]["name"] == "p"
    assert data.secrets == {"s": {"a": b"\xff\n", "b": b"text"}}
    assert data.config_maps == {"c": {"a": b"text", "b": b"\xff\n"}}
    assert "text" not in repr(data).partition("config_maps")[0]


def test_a_list_is_its_items() -> None:
    """As `kubectl get -o yaml` writes several."""
    pod, data = load_documents(
        "kind: List\nitems:\n"
        "- {kind: Pod, metadata: {name: p}}\n- {kind: Secret, metadata: {name: s}}\n",
        "pod.yaml",
    )
    assert (pod["metadata"]["name"], data.secrets) == ("p", {"s": {}})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "one pod is run at a time, and here are 0"),
        (f"{POD}---\n{POD}", "one pod is run at a time, and here are 2"),
        ("kind: Job\n", "a Job makes pods, and is none: take its template"),
        ("kind: Service\n", "kind 'Service' is not run here"),
        ("- 1\n", "kind None is not run here"),
        ("a: [", "this is no YAML: "),
        (f"{POD}---\nkind: Secret\n", "a Secret without metadata.name"),
        (f"{POD}---\n{SECRET}data: [x]\n", "Secret s: data is no mapping of strings"),
        (f"{POD}---\n{SECRET}stringData: {{a: 1}}\n", "Secret s: stringData is no mapping"),
        (f"{POD}---\n{SECRET}data: {{a: hush!}}\n", "Secret s: data.a is no base64"),
    ],
)
def test_what_is_no_pod_is_refused(text: str, problem: str) -> None:
    """With its reason, and without the value of a secret."""
    (found,) = problems(text)
    assert found.startswith(problem)
    assert "hush" not in found


def test_a_folder_is_a_file_for_each_key(tmp_path: Path) -> None:
    """Without the folders and links that a mounted secret has for itself."""
    (tmp_path / "token").write_bytes(b"\x00\xff")
    (tmp_path / "..2026_data").write_text("not a key")
    (tmp_path / "inner").mkdir()
    assert load_data("Secret", [f"s={tmp_path}"]).secrets == {"s": {"token": b"\x00\xff"}}
    assert load_data("ConfigMap", [f"c={tmp_path}"]).config_maps == {"c": {"token": b"\x00\xff"}}


def test_a_later_document_is_laid_over_an_earlier_one(tmp_path: Path) -> None:
    """The whole secret is the later one, as with `kubectl apply`."""
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(f"{SECRET}stringData: {{a: one, b: one}}\n")
    two.write_text(f"{SECRET}stringData: {{a: two}}\n")
    assert load_data("Secret", [str(one), str(two)]).secrets == {"s": {"a": b"two"}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (POD, "this is no Secret"),
        ("a: [", "reading it: "),
        (f"{SECRET}data: {{a: '?'}}\n", "Secret s: data.a is no base64"),
    ],
)
def test_a_file_that_is_no_secret_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """It is named, with what is wrong."""
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(PodError, match=f"file.yaml: {problem}"):
        load_data("Secret", [str(path)])


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """And a file that is not there."""
    with pytest.raises(PodError, match="a Secret is read from a folder, and this is none"):
        load_data("Secret", [f"s={tmp_path / 'none'}"])
    with pytest.raises(PodError, match="reading it: "):
        load_data("Secret", [str(tmp_path / "none.yaml")])
