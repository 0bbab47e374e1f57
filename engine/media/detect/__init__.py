"""Who answered: a person, a machine or a fax, from the sound of the call's first seconds. See docs/machine-detection.md."""
