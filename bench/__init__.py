"""Side-by-side measurements: Entrepot beside other registries, in one run, as medians and ratios.

`python -m bench` starts every server itself on 127.0.0.1, drives it with the load generator of
`bench.drive`, and writes a table, a Markdown page and a JSON file. docs/benchmarks.md explains the lines.
"""
