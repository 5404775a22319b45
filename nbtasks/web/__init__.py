"""The dashboard as a web page, metrics, and calls from other languages over HTTP; in the extra ``dashboard``."""
