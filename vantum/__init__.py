"""Vantum: a server that holds real phone conversations."""
