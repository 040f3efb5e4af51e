"""Recorded requests: what a server keeps of them (`logs`), sending them again (`replay`),
and comparing what is answered with what was (`compare`)."""
