"""Validate every notebook without a tunnel, also on a machine that has an ngrok token."""

import os

os.environ["NGROK_AUTHTOKEN"] = ""  # set but blank: no token, and .env is not asked either
