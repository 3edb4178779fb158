"""Systems beside published figures: official baselines, leaderboards and papers."""
