"""What it takes to run beyond one machine, and servers for it on one."""
