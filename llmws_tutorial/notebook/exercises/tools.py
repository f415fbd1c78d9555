"""The exercises of step 07."""
