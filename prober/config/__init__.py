"""From `probes.yaml` to cells: reading, checking, expanding. Pure but for reading the one file.

The way of a file: `nodes` (YAML with marks, variables filled in) → `schema` (single values and keys) → `targets` and
`probes` (what only several values together can get wrong) → `matrix` (Config × Vantage → Cells). Every problem of a
file is collected on the way, with its line and column, and raised together as one `ConfigError`.
"""
