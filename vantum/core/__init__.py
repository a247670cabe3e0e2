"""Pure logic: no trio, no clock, no sockets, no logging."""
