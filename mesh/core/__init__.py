"""The pure heart: what is decided, without clock, socket, log or thread."""
