"""The layers that DIF-SR is made of."""

import tensorflow as tf
from keras.initializers import RandomNormal

from tfrecs.layers.attributes import AttributeTable, ItemTable, PooledEmbedding
from tfrecs.models.dif_sr.arguments import ENCODER, each
from tfrecs.models.dif_sr.encoder import DecoupledEncoder
from tfrecs.models.dif_sr.predictors import AttributePredictor


def create(num_items, arguments, policy):
    """Makes the layers.

    Args:
        num_items: int.
        arguments: dict of `DIFSR`'s arguments.
        policy: Keras dtype policy.

    Returns:
        dict: of each attribute `tables` (`AttributeTable`), `embeddings` (`PooledEmbedding`) and `predictors`
        (`AttributePredictor`, none where it is `none`); `items` (`ItemTable`); `encoder` (`DecoupledEncoder`).
    """
    sizes, trained = arguments["attribute_sizes"], arguments["train_attributes"]
    dims, lengths = each(arguments["attribute_dim"], len(sizes)), arguments["attribute_lengths"]

    def small():
        return RandomNormal(stddev=arguments["initializer_range"])

    tables, embeddings, predictors = [], [], []
    for i, (size, longest) in enumerate(zip(sizes, lengths)):
        tables.append(AttributeTable(num_items, longest, name=f"table_{i}", dtype=policy))
        embedding = PooledEmbedding(
            size,
            dims[i],
            arguments["pooling"],
            token=not longest,
            mask_padding=arguments["mask_attributes"],
            embeddings_initializer=small() if trained else RandomNormal(stddev=1.0),
            trainable=trained,
            name=f"attribute_{i}",
            dtype=policy,
        )
        embeddings.append(embedding)
        if arguments["attribute_predictor"] != "none":
            head = (arguments["dim"], size + 1, arguments["attribute_predictor"], small())
            predictors.append(AttributePredictor(*head, name=f"predictor_{i}", dtype=policy))
    extended = sizes if arguments["attributes_in_items"] else ()
    encoder = DecoupledEncoder(
        attribute_dims=dims,
        max_length=arguments["max_history"],
        kernel_initializer=small(),
        name="encoder",
        dtype=policy,
        **{name: arguments[name] for name in ENCODER},
    )
    return {
        "tables": tables,
        "embeddings": embeddings,
        "predictors": predictors,
        "items": ItemTable(num_items, arguments["dim"], extended, small(), name="items", dtype=policy),
        "encoder": encoder,
    }


def item_matrix(items, tables, jit_compile=False):
    """The vectors of all items, as `ItemTable.matrix`; gradients included, in a third of the time.

    Args:
        items: `ItemTable`.
        tables: list of `AttributeTable`.
        jit_compile: bool, whether XLA compiles this: it has no sparse products.

    Returns:
        float `[num_items + 1, dim]`, PAD first.
    """
    if jit_compile:
        return items.matrix([table.values for table in tables])
    vectors = tf.convert_to_tensor(items.embeddings)
    for extension, table in zip(items.extensions, tables):
        values = tf.convert_to_tensor(table.values)
        item = tf.where(values > 0)
        value = tf.gather_nd(values, item)
        incidence = tf.SparseTensor(
            tf.stack([item[:, 0], value], axis=1),
            tf.ones_like(value, vectors.dtype),
            [items.num_items + 1, extension.shape[0]],
        )
        vectors += tf.sparse.sparse_dense_matmul(incidence, extension.value)
    return vectors
