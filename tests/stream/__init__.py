"""The drivers: what users see of reading, waiting, controlling, leaving, splitting and retrying."""
