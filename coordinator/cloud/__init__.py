"""The cloud: one upstream that answers what no machine can, and what may leave the mesh.

A prompt's way out, in order: the fleet starts an attempt (``mesh/core/cloud.py``), ``Upstream``
takes it, ``Gate`` lets it pass or not and sets its money aside, ``Call`` asks, and the transport
below it opens no connection without the gate's pass. What comes back becomes the events and
messages of any attempt.
"""
