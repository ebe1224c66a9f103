"""Networks that learn games by self-play (Sec. 8.6)."""
