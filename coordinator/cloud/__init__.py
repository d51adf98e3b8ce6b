"""The cloud: upstreams that answer what no machine can, and what may leave the mesh.

A prompt's way out, in order: the fleet starts an attempt (``mesh/core/cloud.py``), ``Upstreams``
hands it to the ``Upstream`` of its model, whose ``Gate`` lets it pass or not and sets its money
aside; ``Call`` asks, in the words of the upstream's ``Api``, and the transport below it opens no
connection without the gate's pass. What comes back becomes the events and messages of any attempt.
"""
