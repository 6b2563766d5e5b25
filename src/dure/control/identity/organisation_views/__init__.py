"""Pages of organisations: founding one, one's own, and the officers' lists."""
