"""Where ``deskmesh`` begins: importing the rest takes a moment, in which Ctrl-C may come."""

import sys


def main() -> None:
    """Run the command line, or leave quietly."""
    try:
        from mesh.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
