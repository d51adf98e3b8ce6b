"""The one place where protobuf messages meet the types of the core.

Reading is where outside data enters: every reader checks what it takes, and raises
``InvalidRequest`` with the field's name. Writing cannot fail.
"""
