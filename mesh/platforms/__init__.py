"""What differs between Linux, macOS and Windows: a module for each, behind one interface."""
