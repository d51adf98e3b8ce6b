"""Where ``deskmesh`` begins: importing the rest takes a moment, in which Ctrl-C may come."""

import sys


def main() -> None:
    """Run the command line, or leave quietly."""
    try:
        from mesh.cli.becoming import become_at_once
        from mesh.lasting import lasting, leave_the_rest

        become_at_once(sys.argv[1:])
        with lasting():
            from mesh.cli.main import main as run
        try:
            run()
        finally:
            leave_the_rest()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
