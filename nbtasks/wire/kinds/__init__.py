"""How special kinds of objects travel: classes, instances, wrappers, generators of random numbers, figures."""
