"""What do clients notice while something breaks? So far: the probe that sends them and counts."""
