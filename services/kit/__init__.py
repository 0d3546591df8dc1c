"""What every process needs and no domain knows: this package imports nothing else of ours."""
