"""Commands of `vantum-actors` that are a subject of their own; `vantum.cli` gathers them."""
