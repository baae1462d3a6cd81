"""SASRec's losses over drawn items: binary cross-entropy, calibrated (gBCE) or not, and the sampled softmax."""

import tensorflow as tf
from keras import ops


def binary_cross_entropy(positive: tf.Tensor, negative: tf.Tensor, power: float = 1.0) -> tf.Tensor:
    """`-(power log sigmoid(positive) + sum_j log(1 - sigmoid(negative_j)))`.

    Args:
        positive: float `[...]`, scores of the targets.
        negative: float `[..., negatives]`, scores of each target's negatives.
        power: float, the power of the targets' probability, see `calibration_power`; 1 is the usual loss.

    Returns:
        float `[...]`.

    Example:
        >>> round(float(binary_cross_entropy(0.0, [0.0, 0.0])), 4)
        2.0794

    Source: Kang and McAuley (2018), section III-E (one negative); Petrov and Macdonald (2023), equation of gBCE, which
    divides by the number of scores.
    """
    positive, negative = ops.convert_to_tensor(positive), ops.convert_to_tensor(negative)
    return power * ops.softplus(-positive) + ops.sum(ops.softplus(negative), axis=-1)


def calibration_power(num_negatives: int, num_items: int, calibration: float) -> float:
    """gBCE's beta: `alpha (t (1 - 1 / alpha) + 1 / alpha)`, where alpha is the share of negatives that are drawn.

    Args:
        num_negatives: int, negatives of a target.
        num_items: int; all but the target can be negatives, so `alpha = num_negatives / (num_items - 1)`, 1 at most.
        calibration: float t in [0, 1]; 0 gives 1, the usual loss; 1 gives alpha, whose scores are log-odds of the
            catalogue without bias by sampling.

    Returns:
        float.

    Example:
        >>> calibration_power(25, 101, 0.5)
        0.625

    Source: Petrov and Macdonald, RecSys 2023, section 5.
    """
    alpha = min(num_negatives / max(num_items - 1, 1), 1.0)
    return alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)


def sampled_softmax_cross_entropy(
    positive: tf.Tensor, negative: tf.Tensor, log_expected_count: tf.Tensor, is_target: tf.Tensor
) -> tf.Tensor:
    """Cross-entropy of a softmax whose sum over the other items is estimated from drawn ones.

    `log(exp(s_target) + sum_j exp(s_j) / E_j) - s_target` over the drawn items j that are not the target, E_j being how
    often j is expected among the draws. The sum is an unbiased estimate of that over all other items.

    Args:
        positive: float `[rows]`, scores of the targets.
        negative: float `[rows, negatives]`, scores of the drawn items.
        log_expected_count: float `[negatives]`, `log E_j`: that of the number of draws times j's probability.
        is_target: bool `[rows, negatives]`, which drawn items are the row's target.

    Returns:
        float `[rows]`.

    Example:
        >>> value = sampled_softmax_cross_entropy([0.0], [[0.0, 0.0, 9.0]], [0.0, 0.0, 0.0], [[False, False, True]])
        >>> round(float(value[0]), 4)
        1.0986

    Source: Bengio and Senecal, IEEE TNN 2008 (importance sampling of the softmax); the correction by `log q` as in Yi
    et al., RecSys 2019.
    """
    positive = ops.convert_to_tensor(positive)[:, None]
    corrected = ops.convert_to_tensor(negative) - ops.convert_to_tensor(log_expected_count)
    corrected = ops.where(is_target, ops.cast(-1e9, corrected.dtype), corrected)
    return ops.logsumexp(ops.concatenate([positive, corrected], axis=1), axis=1) - positive[:, 0]
