count = 0
options = {"digits": 2}


def add():
    global count
    count += 1
    return count


def rounded(x):
    return round(x, options["digits"])
