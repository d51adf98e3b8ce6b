"""The mesh-health page: server-rendered, kept live by an event stream, and metrics beside it.

Watchers (``flow``, ``account``, ``metrics``) note what happens in microseconds. ``views`` turns the
fleet into words and numbers, ``board`` into HTML that it renews at most once a second, and whoever
looks (``live``: browsers; ``carried``: those of other machines) is sent what changed. No one who
looks costs the mesh more than the first one does.
"""
