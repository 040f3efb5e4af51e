"""The servers that are compared: the floor, this one, and the seed's."""
