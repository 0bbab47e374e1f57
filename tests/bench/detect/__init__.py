"""What the detector and its rivals are measured with: a corpus by seed, training on one part, real calls on the other."""
