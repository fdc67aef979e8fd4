"""The files in docs/serving.md, read by what reads them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from tfrec_vis.serving import publish

GUIDE = Path(__file__).resolve().parents[2] / "docs/serving.md"
FLAGS = {
    "port",
    "rest_api_port",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "file_system_poll_wait_seconds",
    "enable_batching",
    "batching_parameters_file",
}
"""Flags of tensorflow_model_server 2.16 (tensorflow_serving/model_servers/main.cc)."""


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    return str(found)


def batching_parameters() -> Any:
    """The server's message (session_bundle_config.proto), which no Python package brings."""
    file = descriptor_pb2.FileDescriptorProto(
        name="session_bundle_config.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="BatchingParameters")
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, name in enumerate(
        ["max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"], 1
    ):
        message.field.add(
            name=name,
            number=number,
            label=kinds.LABEL_OPTIONAL,
            type=kinds.TYPE_MESSAGE,
            type_name=".google.protobuf.Int64Value",
        )
    message.field.add(
        name="allowed_batch_sizes",
        number=6,
        label=kinds.LABEL_REPEATED,
        type=kinds.TYPE_INT64,
    )
    message.field.add(
        name="pad_variable_length_inputs",
        number=7,
        label=kinds.LABEL_OPTIONAL,
        type=kinds.TYPE_BOOL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    found = pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters")
    return message_factory.GetMessageClass(found)()


def test_the_batching_file_is_the_servers() -> None:
    parsed = text_format.Parse(block("textproto"), batching_parameters())
    assert parsed.max_batch_size.value >= 100  # candidates of a request
    assert parsed.max_enqueued_batches.value > 0
    assert not parsed.pad_variable_length_inputs
    with pytest.raises(text_format.ParseError):
        text_format.Parse("max_batch_sise { value: 1 }", batching_parameters())


def flags(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--([a-z]+_[a-z_]+|port)\b", text))


def test_flags_are_the_servers() -> None:
    for page in (GUIDE, GUIDE.parents[1] / "saved_models/README.md"):
        assert flags(page.read_text()) <= FLAGS
    assert flags(GUIDE.read_text()) == FLAGS


def test_kubernetes_manifest() -> None:
    deployment, service = yaml.safe_load_all(block("yml"))
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels == service["spec"]["selector"]

    (container,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}  # where the image's entry point listens
    for port in service["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"]
    probe = container["readinessProbe"]["httpGet"]
    assert probe == {"path": "/v1/models/ranker", "port": "rest"}
    for when in ("startupProbe", "livenessProbe"):
        assert container[when]["tcpSocket"]["port"] in ports

    (mount,) = container["volumeMounts"]
    (volume,) = template["spec"]["volumes"]
    assert mount["name"] == volume["name"] and mount["readOnly"] is True
    arguments = dict(argument.split("=") for argument in container["args"])
    assert arguments["--model_config_file"] == f"{mount['mountPath']}/models.config"
    assert int(arguments["--model_config_file_poll_wait_seconds"]) > 0
    memory = [container["resources"][kind]["memory"] for kind in ("requests", "limits")]
    assert [re.fullmatch(r"(\d+)Gi", text) is not None for text in memory] == [True, True]
    assert f"export: {{path: {mount['mountPath']}}}" in GUIDE.read_text()


def test_the_images_models_config(tmp_path: Path) -> None:
    """The Dockerfile's own command, on a published folder, gives paths inside the image."""
    lines = block("dockerfile").splitlines()
    assert lines[0].startswith("FROM tensorflow/serving:2.16")
    (copied,) = (line.split() for line in lines if line.startswith("COPY"))
    assert copied == ["COPY", "saved_models", "/models"]
    (run,) = (line.removeprefix("RUN ") for line in lines if line.startswith("RUN"))

    models = tmp_path / "my work/saved_models"
    for name in ("encoder", "ranker"):
        publish(lambda folder: (folder / "saved_model.pb").touch(), models, name)
    inside = "/models/models.config"
    assert run.endswith(f" {inside}")
    config = models / "models.config"
    subprocess.run(f"{run.removesuffix(inside)} '{config}'", shell=True, check=True)
    parsed = text_format.Parse(config.read_text(), model_server_config_pb2.ModelServerConfig())
    found = {c.name: c.base_path for c in parsed.model_config_list.config}
    assert found == {"encoder": "/models/encoder", "ranker": "/models/ranker"}
    assert lines[-1] == f'CMD ["--model_config_file={inside}"]'
