routes = {}


def route(function):
    routes[function.__name__] = function
    return function
