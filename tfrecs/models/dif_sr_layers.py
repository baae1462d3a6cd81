"""The layers that DIF-SR is made of."""

from keras.initializers import RandomNormal

from tfrecs.layers.attributes import AttributeTable, ItemTable, PooledEmbedding
from tfrecs.layers.encoder import DecoupledEncoder
from tfrecs.layers.predictors import AttributePredictor
from tfrecs.models.dif_sr_arguments import ENCODER, each


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
