"""Tables of published models: one for each measure."""

from curvezoo.zoo import table


def entry(name, measure, scores):
    card = {
        "name": name,
        "section": "5.4",
        "measure": measure,
        "metrics": scores,
        "data": {"name": "text", "provenance": "embedded"},
        "parameters": 12345,
        "flops": 2_500_000,
        "training": {"seconds": 61.2},
    }
    return {"card": card}


def test_language_models_and_translators_have_tables_of_their_own():
    scores = {"nats_per_token": 1.5, "nats_per_token_error": 0.01, "perplexity": 4.4817, "accuracy": 0.5}
    exact = {"exact_match": 0.995, "exact_match_low": 0.99, "exact_match_high": 0.998, "nats_per_token": 0.01}
    entries = [entry("writer", "language_modeling", scores), entry("dates", "translation", exact)]
    first, second = table.markdown(entries).split("\n\n")
    assert first.splitlines() == [
        "| model | section | data | nats/token (± 2 s.e.) | perplexity | nats/character | accuracy "
        "| parameters | MFLOPs | training |",
        "|---|---|---|---|---|---|---|---|---|---|",
        "| `writer` | 5.4 | text | 1.5000 ± 0.0200 | 4.482 | 1.5000 | 50.00 % | 12,345 | 2.5 | 61 s |",
    ]
    assert second.splitlines()[0].startswith("| model | section | data | exact match (95 % interval) |")
    assert "| 99.50 % (99.00-99.80) | 0.0100 |" in second.splitlines()[2]
