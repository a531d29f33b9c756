"""The load generator: raw sockets in processes of its own, started by `bench.driver`, one job each.

A job comes as one JSON line on standard input (it may carry a token, so never on the command line). The process
connects, warms up, prints `ready`, waits for `go`, drives, and prints its outcome as one JSON line.
"""
