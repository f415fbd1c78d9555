"""The exercises of step 06."""
