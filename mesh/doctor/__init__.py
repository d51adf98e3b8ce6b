"""What is wrong with this machine's deskmesh, found without changing anything.

Each check is a function that returns one ``Finding``: those in ``machine``, ``computing``,
``models`` and ``network`` look, and leave what it means to a pure judgement beside them.
``examining`` calls them all.
"""
