"""Training: streams of windows, a loop that knows no system by name, and the experiment folder."""
