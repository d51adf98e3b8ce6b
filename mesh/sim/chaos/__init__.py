"""A mesh to which everything happens: the real fleet against a network and machines that fail.

``trial.py`` plays one seed. ``promises.py`` says what must hold after every event, whatever comes.
"""
