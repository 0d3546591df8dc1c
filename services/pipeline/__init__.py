"""The steps from data to a serving model, each a process of its own that ends with one JSON line."""
