"""Small raw files in the formats that the originals read."""

import random


def ratings(num_users=50, num_items=40, per_user=(22, 30), seed=0):
    """Rows `(user, item, rating, timestamp)` in random order; every user and item has at least 20 of them."""
    draw, rows = random.Random(seed), []
    for user in range(1, num_users + 1):
        time = 880_000_000 + draw.randrange(10_000)
        for item in draw.sample(range(1, num_items + 1), draw.randint(*per_user)):
            time += draw.randint(1, 50)
            rows.append((user, item, draw.randint(1, 5), time))
    draw.shuffle(rows)
    return rows


def write_u_data(path, **sizes):
    """Writes MovieLens's `u.data`; gives its rows."""
    rows = ratings(**sizes)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return rows
