"""Workers told something, or asked: from a notebook, from a shell, from a program."""
