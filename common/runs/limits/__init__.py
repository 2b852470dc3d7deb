"""What a run can be on this machine: found out by updates that are thrown away."""
