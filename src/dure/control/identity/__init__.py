"""Identity: people, organisations, memberships with roles, sign-in."""
