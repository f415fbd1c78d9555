"""A server that is right in every way; for every case one that is wrong in it."""
