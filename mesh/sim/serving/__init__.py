"""Machines that truly take time, on a virtual clock: how well is a mesh routed?"""
