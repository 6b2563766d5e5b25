"""Settlement: what was used, by whom, for how much; written only by the gateway's SQL door."""
