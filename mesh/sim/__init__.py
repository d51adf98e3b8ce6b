"""A mesh that is played: machines, owners and askers on a virtual clock, driving the real core."""
