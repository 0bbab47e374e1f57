"""Call flows: one file each, and one line in the table. See docs/add-a-flow.md."""
