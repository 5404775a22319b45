"""The words and facts that every room shares. Standard library only, no I/O."""
