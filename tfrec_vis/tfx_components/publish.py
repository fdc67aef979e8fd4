"""The component that publishes what goes with the ranker that was pushed."""

# No `from __future__ import annotations`: TFX reads the annotations as objects.

import json

from tfx import v1 as tfx
from tfx.utils import path_utils

from tfrec_vis.serving import publish
from tfrec_vis.tfx_components.artifacts import PublishedModels
from tfrec_vis.tfx_components.stage_runner import local_path


@tfx.dsl.components.component
def Publish(
    pushed_ranker: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.PushedModel],
    encoder: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    similar: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    published: tfx.dsl.components.OutputArtifact[PublishedModels],
    models: tfx.dsl.components.Parameter[str],
) -> None:
    """Publishes encoder and neighbours' search beside the ranker, and models.config.

    Nothing is published where Pusher did not push the ranker, because it was not blessed.

    Args:
        pushed_ranker: of Pusher.
        encoder, similar: of Export.
        published: output.
        models: folder of all published models; Pusher's base_directory is MODELS/ranker.
    """
    versions = {}
    if pushed_ranker.get_int_custom_property("pushed"):
        versions["ranker"] = pushed_ranker.get_string_custom_property("pushed_destination")
        for name, artifact in (("encoder", encoder), ("similar", similar)):
            model = local_path(path_utils.serving_model_path(artifact.uri))
            versions[name] = str(publish(model, local_path(models), name))
    (local_path(published.uri) / "published.json").write_text(json.dumps(versions, indent=1))
    published.set_int_custom_property("models", len(versions))
