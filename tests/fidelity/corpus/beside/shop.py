from rates import factor


def total(n):
    return n * factor()
