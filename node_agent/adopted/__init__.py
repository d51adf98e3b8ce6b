"""Engines that run on this machine already, adopted as they are: Ollama, LM Studio and others.

Whoever uses one keeps it: nothing here starts, stops or configures an engine, makes it load a
model that nobody asked for, or counts its memory as ours.
"""
