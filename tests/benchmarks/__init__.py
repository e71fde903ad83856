"""Measurements that anyone can repeat; nothing here passes or fails."""
