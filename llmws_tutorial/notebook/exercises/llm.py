"""The exercises of step 05."""
