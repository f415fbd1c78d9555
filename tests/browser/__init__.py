"""The dashboard in a real browser: run with ``pytest -m browser tests/browser``."""
