"""The composition root: settings become a running process. The only room that knows every adapter.

`context` opens the parts, `application` puts the wires together, `server` and `worker` are the two kinds of process,
`supervisor` starts and watches them (and imports nothing heavy).
"""
