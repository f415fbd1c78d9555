"""One complete server per lesson, in the guide's own simple shape."""
