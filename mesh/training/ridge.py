"""Ridge regression on sparse features, by conjugate gradients."""

from dataclasses import dataclass

import numpy as np

from mesh.training.sparse import Floats, Sparse

STEPS_MAX = 60  # what is left by then is far below the noise of the labels
CLOSE = 1e-3  # residual, as a share of the first one


@dataclass(frozen=True, slots=True)
class Fitted:
    """What one head learned."""

    bias: float
    weights: Floats  # shape (columns,)

    def predicted(self, features: Sparse) -> Floats:
        """Return the predictions for the rows of ``features``."""
        return features.times(self.weights) + np.float32(self.bias)


def fit_ridge(features: Sparse, targets: Floats, penalty: float) -> Fitted:
    """Minimise ``|features @ weights + bias - targets|^2 + penalty * |weights|^2``.

    Args:
        features: shape (rows, columns). How much a column may matter is said by its scale.
        targets: shape (rows,). All equal is fine: then nothing is learned but the bias.
        penalty: > 0, in units of squared features.
    """
    rows, columns = features.shape
    mean = np.float32(targets.mean())
    # The bias is not penalised: it is taken out by centring, as if of the columns' means.
    means = features.transposed_times(np.ones(rows, dtype=np.float32)) / np.float32(rows)

    def curved(vector: Floats) -> Floats:
        through = features.times(vector) - np.float32(means @ vector)
        back = features.transposed_times(through) - means * through.sum()
        return np.asarray(back + np.float32(penalty) * vector, dtype=np.float32)

    centred = (targets - mean).astype(np.float32)
    left = features.transposed_times(centred) - means * centred.sum()
    weights = np.zeros(columns, dtype=np.float32)
    way = left.copy()
    square = first = float(left @ left)
    for _ in range(STEPS_MAX):
        if square <= first * CLOSE**2:
            break
        bent = curved(way)
        step = np.float32(square / float(way @ bent))
        weights += step * way
        left -= step * bent
        square, before = float(left @ left), square
        way = left + np.float32(square / before) * way
    return Fitted(float(mean - means @ weights), weights)
