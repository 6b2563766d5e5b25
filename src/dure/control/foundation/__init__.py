"""Ground for every room: clock, actors, errors, audit trail, outbox, directory, display of money and time."""
