"""The owner's other program: ``python -m bench.spinner`` takes a whole core."""

from bench.tether import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    while True:
        pass
