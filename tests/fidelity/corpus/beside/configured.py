level = 1


def deeper():
    return level + 1
