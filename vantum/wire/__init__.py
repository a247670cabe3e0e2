"""Pure codecs: bytes on the wire ↔ values of `vantum.core.messages`."""
