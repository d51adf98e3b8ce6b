"""The pure core: events in, actions out. No loop, no clock, no mock."""
