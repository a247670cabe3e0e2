"""Several processes on one port: who takes a connection, and how it gets there.

`routing` decides, `board` and `handover` are what the processes share, `member` is what one of them
has of the others, and `crew` starts them and keeps them running.
"""
