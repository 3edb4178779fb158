"""What is wrong with a submission, folder or zip, made by anyone."""
