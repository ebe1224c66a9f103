"""Small seeded experiments, the numbers behind the figures of the notes' sections."""
