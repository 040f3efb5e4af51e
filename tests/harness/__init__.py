"""What the tests share: a server process, clients that are not ours, raw HTTP/2."""
