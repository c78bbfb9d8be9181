"""Which places of a frame a score comes from: Grad-CAM++ on a network's last maps, in two steps.

Chattopadhay, Sarkar, Howlader, Balasubramanian, "Grad-CAM++: generalized gradient-based visual
explanations for deep convolutional networks" (WACV 2018). The chain rule is cut at the stored vector:
`slopes` gives what the score owes to it, from stored features alone; here one product of that with the
Jacobian of what makes a vector of the maps (a mean, a norm, a classifier) gives what it owes to the maps.
So no frames run through the network again but those that are shown. The target is what the network pools,
whatever layers come before: `features.networks.Describer.maps`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.features.networks import Describer

_TINY = 1e-12


@dataclass(frozen=True)
class MapSlopes:
    """The last maps of some pictures, and what the score owes to them: (B, K, rows, columns) each."""

    maps: Tensor
    slopes: Tensor

    def heat_BGG(self) -> NDArray[np.float64]:
        """Return Grad-CAM++ of each picture, (B, rows, columns): 0 where nothing speaks for the score."""
        pairs = zip(self.maps.double(), self.slopes.double(), strict=True)
        return np.stack([grad_cam_plus_plus(one, its).numpy() for one, its in pairs])


def map_slopes(
    describer: Describer, crops_BHWC: NDArray[np.uint8], slope_BD: NDArray[np.floating]
) -> MapSlopes:
    """Return maps and slopes of pictures, given what the score owes to their vectors.

    Args:
        describer: the network.
        crops_BHWC: pictures of the network's side.
        slope_BD: the score's slope in each picture's vector, (B, D); of a grid in each cell's, (B, G, D).
    """
    with torch.no_grad():
        maps = describer.maps(describer.prepare(torch.from_numpy(crops_BHWC)))
    maps = maps.detach().requires_grad_()
    with torch.enable_grad():
        vectors = describer.pool(maps)
        given = torch.from_numpy(slope_BD.astype(np.float32)).reshape(vectors.shape)
        (slopes,) = torch.autograd.grad(vectors, maps, grad_outputs=given)
    return MapSlopes(describer.placed(maps.detach()), describer.placed(slopes))


def grad_cam_plus_plus(maps_KHW: Tensor, slopes_KHW: Tensor) -> Tensor:
    """Return the weighted sum of maps that speak for the score, (H, W), 0 or more.

    A map weighs as the sum of alpha * relu(g) over its places: g is the slope there, alpha is
    g^2 / (2 g^2 + S g^3), 0 where g is, S the sum of the *activations* of the map. Higher derivatives are
    powers of the first one, because the paper sends the score through an exponential, which cancels.
    """
    total_K11 = maps_KHW.sum(dim=(1, 2), keepdim=True)
    below_KHW = 2.0 + total_K11 * slopes_KHW  # both sides divided by g^2
    below_KHW = torch.where(below_KHW.abs() < _TINY, _TINY, below_KHW)
    weight_K = (slopes_KHW.relu() / below_KHW).sum(dim=(1, 2))
    return torch.einsum("k,khw->hw", weight_K, maps_KHW).relu()
