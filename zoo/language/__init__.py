"""Language models and translators: recurrent networks and Transformers that read and write text."""
