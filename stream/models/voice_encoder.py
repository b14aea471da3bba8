"""The voice encoder as a torch network, for the export: speech of one voice to one vector.

Three LSTM layers and a linear one, trained with the generalised end-to-end loss of Wan et al. (2018), in
the sizes and with the weights that the Resemblyzer package publishes.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

MELS = 40
WINDOW_FRAMES = 160
"""Frames of 10 ms that the network was trained on: 1.6 s."""
KEY_SIZE = 256

_NOT_OF_THE_NETWORK = frozenset({"similarity_weight", "similarity_bias"})
"""Parameters of the training loss, kept in the same file."""


class VoiceEncoder(nn.Module):
    """Mel frames to unit vectors; attribute names are the weights' keys."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, KEY_SIZE, num_layers=3, batch_first=True)
        self.linear = nn.Linear(KEY_SIZE, KEY_SIZE)

    def forward(self, mels: Tensor) -> Tensor:
        """(N, T, 40) float32 power of mel bands -> (N, 256) float32, unit length."""
        # The states are made from the input, so that the export knows them for any N.
        zeros = mels.new_zeros(3, mels.shape[0], KEY_SIZE)
        states, _ = self.lstm(mels, (zeros, zeros))
        return nn.functional.normalize(torch.relu(self.linear(states[:, -1])), dim=1)


def load_voice_encoder(weights: Path) -> VoiceEncoder:
    """The network with its published weights, in evaluation mode.

    Raises:
        RuntimeError: The file's keys or shapes are not those of this network.
        KeyError: It holds no `model_state`.
    """
    state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
    network = VoiceEncoder()
    network.load_state_dict({key: value for key, value in state.items() if key not in _NOT_OF_THE_NETWORK})
    return network.eval()
