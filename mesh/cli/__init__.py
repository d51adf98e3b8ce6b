"""The command ``deskmesh``: one file a command. Data goes to stdout, everything else to stderr."""
