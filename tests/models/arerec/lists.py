"""Neighbour lists for ARERec's tests, and its equations with loops."""

import numpy as np

ITEMS = 11
# Item i's neighbours lie in STARTS[i] to STARTS[i + 1]; item 3 has none, item 5 one, item 7 has user 3 twice.
COUNTS = [0, 4, 2, 0, 3, 1, 4, 4, 2, 3, 4, 1]
STARTS = np.concatenate([[0], np.cumsum(COUNTS)])
TIMES = np.concatenate([np.sort(np.random.default_rng(i).integers(40, 60, count)) for i, count in enumerate(COUNTS)])
USERS = np.random.default_rng(3).integers(1, 10, len(TIMES))
USERS[STARTS[7] : STARTS[7] + 2] = 3


def add_lists(model, users=USERS, times=TIMES):
    """Fills the model's tables with as much of the lists above as it has room for."""
    width = min(model.max_seq, 4)
    kept = np.concatenate([np.arange(count) < width for count in COUNTS])
    starts = np.concatenate([[0], np.cumsum(np.minimum(COUNTS, width))])
    model.lists.fill(users[kept], times[kept], starts)


def enlarge(model):
    """Weights of a size at which every part of the model shows."""
    random = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(random.normal(size=variable.shape) * 0.6)


def plain(model, user, now, item):
    """Probabilities of the rating classes of one user, moment and item."""
    tables = (model.users, model.items, model.region.for_item, model.region.for_user)
    users, items, for_item, for_user = (table.numpy().astype(np.float64) for table in tables)
    region = model.region_size
    units = list(range(model.lists.starts.numpy()[item], model.lists.starts.numpy()[item + 1]))
    raters, times = model.lists.users.numpy(), model.lists.times.numpy()
    early = model.neighbours == "all"
    units = [unit for unit in units if early or (times[unit] < now and raters[unit] != user)]
    vectors = [users[raters[unit]] for unit in units]
    if model.use_attention and units:
        vectors = attended(model, users[user], np.array(vectors))
    ratings = []
    for unit, vector in zip(units, vectors):
        rows = slice(unit * region, (unit + 1) * region)
        ratings.append((for_user[rows] @ vector) * (for_item[rows] @ items[item]))
    if model.padding_floor and len(units) < model.max_seq:
        ratings.append(np.zeros(region))
    vector = np.max(ratings, axis=0) if ratings else np.zeros(region)
    logits = vector @ model.classes.kernel.numpy().astype(np.float64) + model.classes.bias.numpy()
    return np.exp(logits) / np.exp(logits).sum()


def attended(model, user, neighbours):
    layers = (model.attention.query, model.attention.key, model.attention.value, model.attention.concat)
    query, key, value, concat = ((layer.kernel.numpy(), layer.bias.numpy()) for layer in layers)
    width = model.embedding_dim // model.num_heads
    q, k, v = user @ query[0] + query[1], neighbours @ key[0] + key[1], neighbours @ value[0] + value[1]
    for head in range(model.num_heads):
        part = slice(head * width, (head + 1) * width)
        logits = k[:, part] @ q[part] / np.sqrt(width)
        v[:, part] *= (np.exp(logits) / np.exp(logits).sum())[:, None]
    return v @ concat[0] + concat[1]
