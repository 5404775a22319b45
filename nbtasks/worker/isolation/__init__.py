"""What keeps calls apart: streams, processes and settings that one has left do not reach the next."""
