"""What every runner shares: engines, slots, the hot route, the watcher. The models' own code is in their folders."""
