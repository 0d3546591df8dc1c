"""The ways out: each speaks its own protocol, and fails in one of two ways."""
