"""What a call costs: ratios against reference servers, measured in the same run."""
