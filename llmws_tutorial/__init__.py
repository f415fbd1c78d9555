"""Build the WebSocket server that a voice platform dials: both sides in the box."""

__version__ = "0.1.0"
