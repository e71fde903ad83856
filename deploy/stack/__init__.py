"""The servers of a team on one machine, without containers."""
