"""Systems beside the official figures."""
