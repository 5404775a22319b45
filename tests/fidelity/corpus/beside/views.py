from webapp import route


@route
def index():
    return "index"
