"""From windows of features or recordings to scores, and from any recording to events."""
