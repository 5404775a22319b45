"""When the calls of a batch ran, and on which child: as data, as a picture, as HTML."""
