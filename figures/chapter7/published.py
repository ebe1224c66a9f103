"""The zoo's models of images as the figures of the chapter show them: those that are published.

Legend: N images, H height, W width, C channels.
"""

from ...publishing import cards, saved_model


def published(names):
    """Returns the cards of those models that are published, by name.

    Args:
        names: Names of models.
    """
    found = {name: cards.published(name) for name in names}
    return {name: card for name, card in found.items() if card is not None}


def listed(names):
    """Returns the names of those models that are published, as a phrase such as `a, b and c`.

    Args:
        names: Names of models.
    """
    *first, last = published(names) or ("no model",)
    return f"{', '.join(first)} and {last}" if first else last


def stored_images(name):
    """Returns the images of the test split that are stored with a published model, [N, H, W, C].

    They are its golden inputs, with pixels as the model takes them: binarized, dequantized or gray.

    Args:
        name: Name of a published model of images.
    """
    card = cards.published(name)
    endpoint = "discriminate" if card["measure"] == "adversarial" else "serve"
    return saved_model.golden(cards.folder_of(name), endpoint)[0][0]
