"""Where ``deskmesh`` begins: importing the rest takes a moment, in which Ctrl-C may come."""

import sys

from mesh.cli.becoming import become_at_once
from mesh.lasting import lasting, leave_the_rest


def main() -> None:
    """Run the command line, or leave quietly."""
    try:
        become_at_once(sys.argv[1:])
        with lasting():
            from mesh.cli.main import main as run
        run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(1)
    finally:
        leave_the_rest()


if __name__ == "__main__":
    main()
