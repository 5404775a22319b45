FACTOR = 200


def factor():
    return FACTOR
