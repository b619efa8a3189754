"""Encoders of photometry: the seed paper's attention between bands, and that of the later code."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxyds_models.crossmodal.config import PhotometryConfig
from galaxyds_models.crossmodal.layers import mlp


def gamma(x: Tensor, w0: Tensor, w1: Tensor) -> Tensor:
    """Attention between bands without a softmax, paper 000, Eq. 1.

    Gamma(X) = (W0 X X^T W0^T) (W1 X), multiplied from the right: (m, m) is less than (n, n).

    Parameters
    ----------
    x : Tensor
        X, (B, n, m): n bands of m quantities.
    w0, w1 : Tensor
        (n, n).

    Returns
    -------
    Tensor
        (B, n, m).
    """
    embedded = w0 @ x
    return embedded @ (embedded.mT @ (w1 @ x))


class BandAttention(nn.Module):
    """One layer l of Eq. 2: Gamma, then a perceptron over all n m values.

    Parameters
    ----------
    bands, quantities : int
        n and m.
    hidden : int
        Width of the perceptron's hidden layer.
    slope : float
        Of its activation.
    damped : bool
        Divide Gamma by 1 + mean(X^2).  Gamma is cubic: an object of ten standard deviations would
        count a thousandfold.  The quotient is cubic for small X and linear for large ones, keeps
        the direction of Gamma, and does not forget the size of X as a layer norm would.
    """

    def __init__(
        self, bands: int, quantities: int, *, hidden: int, slope: float, damped: bool
    ) -> None:
        super().__init__()
        self.damped = damped
        self.w0 = nn.Parameter(torch.empty(bands, bands))
        self.w1 = nn.Parameter(torch.empty(bands, bands))
        nn.init.xavier_uniform_(self.w0)
        nn.init.xavier_uniform_(self.w1)
        values = bands * quantities
        self.perceptron = mlp((values, hidden, values), slope=slope)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, n, m) to (B, n, m)."""
        attended = gamma(x, self.w0, self.w1)
        if self.damped:
            attended = attended / (1 + x.square().mean((-2, -1), keepdim=True))
        values: Tensor = self.perceptron(attended.flatten(1))
        return values.view_as(x)


class GammaEncoder(nn.Module):
    """Eq. 1-3 of paper 000: layers of :class:`BandAttention`, then a perceptron with the colours.

    Parameters
    ----------
    bands : int
        n.
    config : PhotometryConfig
        ``errors``, so that m is 2 or 1, and ``layers``, ``hidden``, ``damped``.
    features : int
        512 in the paper.
    slope : float
        Of all activations.
    """

    def __init__(
        self, bands: int, config: PhotometryConfig, *, features: int, slope: float
    ) -> None:
        super().__init__()
        quantities = 2 if config.errors else 1
        hidden, damped = config.hidden, config.damped
        self.layers = nn.Sequential(
            *(
                BandAttention(bands, quantities, hidden=hidden, slope=slope, damped=damped)
                for _ in range(config.layers)
            )
        )
        entering = bands * quantities + bands - 1
        widths = (entering, features // 4, features // 2, features)
        self.fusion = mlp(widths, slope=slope, activate=True)

    def forward(self, x: Tensor, colors: Tensor) -> Tensor:
        """From X (B, n, m) and colours (B, n - 1) to features (B, F)."""
        attended: Tensor = self.layers(x)
        features: Tensor = self.fusion(torch.cat((attended.flatten(1), colors), -1))
        return features


class TokenAttention(nn.Module):
    """Self-attention whose queries are its keys, with a layer norm after it.

    Parameters
    ----------
    entering, leaving : int
        Width of a token before and after.
    heads : int
        A divisor of ``leaving``.
    dropout : float
        Of attention weights.
    """

    def __init__(self, entering: int, leaving: int, *, heads: int = 8, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(entering, leaving)
        self.value = nn.Linear(entering, leaving)
        self.norm = nn.LayerNorm(leaving)

    def forward(self, tokens: Tensor) -> Tensor:
        """From (B, n, entering) to (B, n, leaving)."""
        query = self._split(self.query(tokens))
        value = self._split(self.value(tokens))
        dropout = self.dropout if self.training else 0.0
        answer = functional.scaled_dot_product_attention(query, query, value, dropout_p=dropout)
        normed: Tensor = self.norm(answer.transpose(1, 2).flatten(2))
        return normed

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class TokenEncoder(nn.Module):
    """Encoder of the authors' later code: a token for each magnitude, 1 -> 32 -> 8 wide.

    Parameters
    ----------
    bands : int
        Tokens.
    features : int
        256 in that code.
    dropout : float
        Of attention weights and of the perceptron between the two attentions.
    """

    def __init__(self, bands: int, *, features: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(bands)
        self.color_norm = nn.BatchNorm1d(bands - 1)
        self.tokens = nn.Sequential(
            TokenAttention(1, 32, dropout=dropout),
            nn.LayerNorm(32),
            nn.Linear(32, 64),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Linear(64, 32),
            nn.Dropout(dropout),
            TokenAttention(32, 8, dropout=dropout),
        )
        widths = (8 * bands + bands - 1, features // 4, features // 2, features)
        self.fusion = mlp(widths, slope=0.0, activate=True)

    def forward(self, x: Tensor, colors: Tensor) -> Tensor:
        """From magnitudes (B, n, 1) and colours (B, n - 1) to features (B, F)."""
        tokens: Tensor = self.tokens(self.norm(x))
        both = torch.cat((tokens.flatten(1), self.color_norm(colors)), -1)
        features: Tensor = self.fusion(both)
        return features
