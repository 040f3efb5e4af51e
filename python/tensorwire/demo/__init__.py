"""`tensorwire demo`: a model trained, served and called, each in a process of its own.

In the order of a run: `story` (the whole), `training` and `trainer` (its process),
`digits` (the data), `service` (the server's process), `caller` (the client's process),
`text_caller` with `text_client` (a client generated from a .proto file).
"""
