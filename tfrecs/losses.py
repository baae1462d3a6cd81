"""Losses as pure functions of scores or distances."""

from keras import ops

REDUCTIONS = ("sum", "mean")


def pairwise_hinge(positive, negative, margin, mask, reduction="sum"):
    """Margin hinge over every (target, negative) pair of distances.

    `sum_ij max(0, positive_i + margin - negative_j)`, AttRec's equation 15.

    Args:
        positive: float `[batch, targets]`, distances of the targets, lower is better.
        negative: float `[batch, negatives]`, distances of the negatives.
        margin: float, in the distance's unit.
        mask: bool or float `[batch, targets]`, which targets are real.
        reduction: `sum` over the pairs, as in the paper, or `mean` over the pairs of real targets.

    Returns:
        float `[batch]`.

    Example:
        >>> round(float(pairwise_hinge([[0.2]], [[0.3, 1.0]], 0.5, [[True]])[0]), 4)
        0.4
    """
    positive, negative = ops.convert_to_tensor(positive), ops.convert_to_tensor(negative)
    mask = ops.cast(mask, positive.dtype)
    pairs = ops.relu(positive[:, :, None] + margin - negative[:, None, :])
    total = ops.sum(pairs * mask[:, :, None], axis=(1, 2))
    if reduction == "sum":
        return total
    count = ops.sum(mask, axis=1) * ops.cast(ops.shape(negative)[1], positive.dtype)
    return total / ops.maximum(count, 1.0)


def softmax_cross_entropy(queries, items, targets):
    """Cross-entropy of the softmax over all items, from vectors: `log sum_j exp(q . v_j) - q . v_target`.

    The same as taking it from logits, but for time and memory: the exponentials of the forward pass serve the
    gradient, which is two matrix products and no further pass over `[rows, items]`.

    Args:
        queries: float `[rows, dim]`.
        items: float `[items, dim]`, of the same type: that of the products. The softmax itself is float32.
        targets: int `[rows]`, index of each row's item.

    Returns:
        float32 `[rows]`.

    Example:
        >>> round(float(softmax_cross_entropy(ops.ones((1, 2)), ops.zeros((4, 2)), ops.zeros(1, "int32"))[0]), 4)
        1.3863
    """

    @ops.custom_gradient
    def loss(queries, items):
        logits = ops.cast(ops.matmul(queries, ops.transpose(items)), "float32")
        largest = ops.max(logits, axis=1, keepdims=True)
        exponentials = ops.exp(logits - largest)
        total = ops.sum(exponentials, axis=1, keepdims=True)
        chosen = ops.take(items, targets, axis=0)
        value = (ops.log(total) + largest)[:, 0] - ops.sum(ops.cast(queries * chosen, "float32"), axis=1)
        factors, dtype = ops.cast(exponentials, queries.dtype), queries.dtype

        def gradient(upstream):
            upstream = upstream[:, None]
            share, pull = ops.cast(upstream / total, dtype), ops.cast(upstream, dtype)
            of_queries = ops.matmul(factors, items) * share - chosen * pull
            of_items = ops.transpose(ops.matmul(ops.transpose(queries * share), factors))
            pulled = ops.segment_sum(queries * pull, targets, num_segments=ops.shape(items)[0])
            return of_queries, of_items - pulled

        return value, gradient

    return loss(queries, items)


def multi_label_cross_entropy(logits, labels):
    """Mean over classes of the binary cross-entropy, class 0 (padding) left out.

    Args:
        logits: float `[rows, classes + 1]`.
        labels: int `[rows, any]`, the classes that are true, padded with 0. A class given twice has label 2.

    Returns:
        float `[rows]`.

    Example:
        >>> round(float(multi_label_cross_entropy([[9.0, 0.0, 0.0]], [[2, 0]])[0]), 4)
        0.6931
    """
    logits, labels = ops.convert_to_tensor(logits), ops.convert_to_tensor(labels)
    real = ops.cast(ops.not_equal(labels, 0), logits.dtype)
    rows, classes = ops.shape(logits)[0], logits.shape[1]
    index = ops.arange(rows, dtype="int32")[:, None] * classes + ops.cast(labels, "int32")
    positive = ops.sum(ops.take(ops.reshape(logits, [-1]), index) * real, axis=1)
    return (ops.sum(ops.softplus(logits[:, 1:]), axis=1) - positive) / (classes - 1)


def bayesian_ranking(positive, negative, epsilon=1e-10):
    """`-log(epsilon + sigmoid(positive - negative))` (BPR).

    Args:
        positive, negative: float, scores, the same shape.
        epsilon: float, bounds the loss.

    Returns:
        float, that shape.

    Example:
        >>> round(float(bayesian_ranking(1.0, 1.0)), 4)
        0.6931
    """
    return -ops.log(epsilon + ops.sigmoid(positive - negative))


def binary_cross_entropy(positive, negative, power=1.0):
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


def calibration_power(num_negatives, num_items, calibration):
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


def sampled_softmax_cross_entropy(positive, negative, log_expected_count, is_target):
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
