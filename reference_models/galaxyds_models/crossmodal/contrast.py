"""Supervised contrast between modalities, of the authors' later code (not in paper 000)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def contrastive_loss(
    photometry: Tensor,
    image: Tensor,
    classes: Tensor,
    *,
    temperature: float = 0.21,
    within: float = 0.13,
) -> Tensor:
    """Features of objects of one redshift class attract each other, across and within modalities.

    Parameters
    ----------
    photometry, image : Tensor
        Features (B, F) of the same objects.
    classes : Tensor
        (B,), int64.
    temperature : float
        Of the cosine similarities.
    within : float
        Weight of pairs within a modality beside those across.

    Returns
    -------
    Tensor
        Scalar, float32.
    """
    first, second = (functional.normalize(x.float(), dim=-1) for x in (photometry, image))
    same = classes[:, None] == classes
    other = ~torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    everything = torch.ones_like(same)
    across = first @ second.mT / temperature
    loss = _attraction(across, same, everything) + _attraction(across.mT, same, everything)
    for features in (first, second):
        similarity = features @ features.mT / temperature
        loss = loss + within * _attraction(similarity, same & other, other)
    return loss


def _attraction(similarity: Tensor, positive: Tensor, compared: Tensor) -> Tensor:
    """Mean over objects of -log softmax over what is compared, averaged over the positive ones."""
    lowest = torch.finfo(similarity.dtype).min
    log = similarity.masked_fill(~compared, lowest).log_softmax(-1)
    count = positive.sum(-1).clamp_min(1)  # an object alone in its class attracts nothing
    return -(log.masked_fill(~positive, 0).sum(-1) / count).mean()
