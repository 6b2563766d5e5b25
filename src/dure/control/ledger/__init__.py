"""The ledger: accounts, transfers, escrow. It knows opaque owner ids only."""
