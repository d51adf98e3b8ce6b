"""deskmesh: one inference service made of the machines on the desks."""

import os

# gRPC's own lines on stderr are for its developers; what matters of them reaches users as a
# MeshError. It reads the variable when it is first imported, so this stands before all else.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# We never fork a process that speaks gRPC; we start others by fork and exec at once. gRPC's fork
# handlers then have nothing to save; with them, and with uvloop, one new engine in twelve aborted
# on a busy machine before it said a word, without them none of 24 did (measured).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
