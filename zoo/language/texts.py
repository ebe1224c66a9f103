"""The limits of models of each text, for their cards."""

LIMITS = {
    "text": (
        "Trained on 370,000 characters of Python's help texts: it writes their style, not correct "
        "documentation. Only printable ASCII."
    ),
    "tiny_shakespeare": (
        "Trained on one million characters of Shakespeare's plays: it writes their style, not sense. Only "
        "its 65 characters."
    ),
    "numbers": "Numbers below a million in English words, as the generator spells them.",
    "dates": "Dates from 1900 to 2099 in English, in the forms of the generator.",
    "ted_hrlr_translate/pt_to_en": "A small model of transcribed talks, for simple sentences.",
    "ptb": "Trained on newspaper articles: it writes their style, not facts.",
    "lm1b": "Trained on single sentences of news in shuffled order: it writes their style, not facts.",
}
