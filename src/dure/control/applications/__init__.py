"""Applications to calls: written together, submitted once, decided in the open."""
