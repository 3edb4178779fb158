"""What rules can be tuned for; a module of this folder registers its own."""
