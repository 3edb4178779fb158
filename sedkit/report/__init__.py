"""What a network says of recordings, drawn."""
