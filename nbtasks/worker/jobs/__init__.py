"""What a child has in hand: jobs, the functions they call, and what is told of their end."""
