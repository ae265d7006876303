"""From a network to named arrays and back."""

import numpy as np
import torch
from torch import nn

from bolus.core.learned import ModelCard, Weights
from bolus.errors import Code, FileError


def weights_of(network: nn.Module, card: ModelCard) -> Weights:
    """Return the parameters and buffers of a network under their names.

    Args:
        network: trained.
        card: what it is.
    """
    tensors = {
        name: np.array(value.detach().cpu().contiguous().numpy())
        for name, value in network.state_dict().items()
    }
    return Weights(tensors=tensors, card=card)


def require_kind(weights: Weights, kind: str, *, command: str) -> ModelCard:
    """Return the card of weights of one kind.

    Args:
        weights: of any network.
        kind: what is needed.
        command: that makes such weights, for the mend.

    Raises:
        FileError: they are of another kind.
    """
    card = weights.card
    if card.kind != kind:
        raise FileError(
            Code.WEIGHTS_INVALID,
            f"{card.name} is of kind {card.kind}, not {kind}",
            mend=f"give weights of `{command}`",
        )
    return card


def load_weights(network: nn.Module, weights: Weights) -> nn.Module:
    """Put weights into a network that was built from the settings of their card.

    Args:
        network: built, its numbers are replaced.
        weights: of one like it.

    Returns:
        The network, ready to be used.

    Raises:
        FileError: names or shapes differ.
    """
    held = {name: torch.from_numpy(np.array(value)) for name, value in weights.tensors.items()}
    try:
        network.load_state_dict(held, strict=True)
    except RuntimeError as failure:
        raise FileError(
            Code.WEIGHTS_INVALID,
            f"the weights do not fit the network of their card: {str(failure).splitlines()[0]}",
            mend="fetch the weights again, or train anew with `bolus train`",
        ) from failure
    return network.eval()
