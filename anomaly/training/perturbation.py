"""STATE's input perturbation: what is scored is first moved so that its error falls."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def perturbed(
    error: Callable[[Tensor], Tensor], inputs: Tensor, epsilon: float | Tensor
) -> Tensor:
    """Return inputs moved by `epsilon` against the sign of the gradient of their error.

    What is normal gains more by it than what is strange. `error` gives one number, a sum or mean over
    the inputs, each for itself; it must be differentiable. `epsilon` is in units of the inputs.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        moved = inputs.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(error(moved), moved)
        return (moved - epsilon * gradient.sign()).detach()
