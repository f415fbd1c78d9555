"""The cases, one module a topic; `checks.catalogue` puts them in order."""
