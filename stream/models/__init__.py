"""Models and the demo's media: locked by sha256, pulled on demand, verified, derived.

``model_file("all-minilm-l6-v2", "model.onnx")`` is all that a role needs. Nothing here
touches the network but `stream.models.pull.pull`, which only commands call.
"""

from __future__ import annotations

from stream.models.collection import Collection, Condition, FileState, ItemState
from stream.models.collection import demo_media as demo_media
from stream.models.collection import model_file as model_file
from stream.models.collection import models as models

__all__ = ["Collection", "Condition", "FileState", "ItemState", "demo_media", "model_file", "models"]
