"""Builds the engine for what a machine computes on, and puts it in place once it is proven.

``plan`` decides what is built and says what it takes, purely; ``making`` runs pip and CMake;
``wheels`` keeps what was built, ``keeping`` finds it there; ``chosen`` tells `make` of it;
``proving`` loads the new library before it takes the old one's place.
"""
