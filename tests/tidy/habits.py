"""What a file of ours may look like. Each habit returns what breaks it, in words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

LINES_MAX = 400  # past that, a file holds more than one idea
FUNCTION_LINES_MAX = 70  # past that, it does more than one thing
DRAWERS = ("common", "helper", "helpers", "manager", "misc", "util", "utils")
PRINTERS = ("mesh/cli", "bench", "models", "scripts", "docs")  # what talks to people on a terminal
# In halves, so that this file keeps to its own rule.
UNFINISHED = re.compile(rf"\b({'TO' + 'DO'}|{'FIX' + 'ME'}|{'X' * 3})\b")
PRIVATE_PATHS = re.compile(
    rf"(?<![\w.~-])/({'ho' + 'me'}|{'Us' + 'ers'}|{'ro' + 'ot'}|{'wo' + 'rk'})/\w"
)
REGISTRIES = re.compile(rf"{'py' + 'pi'}\.org|{'python' + 'hosted'}\.org|index-{'ur' + 'l'}")


def broken_by_text(path: Path, text: str) -> Iterator[str]:
    """Yield what is wrong with any file that holds text."""
    if path.stem in DRAWERS:
        yield "is a drawer: name it for the one idea in it"
    for number, line in enumerate(text.splitlines(), start=1):
        if UNFINISHED.search(line):
            yield f"line {number} leaves something open"
        if PRIVATE_PATHS.search(line):
            yield f"line {number} names a path of somebody's machine"
        if REGISTRIES.search(line):
            yield f"line {number} names a package registry"


def broken_by_source(path: Path, text: str) -> Iterator[str]:
    """Yield what is wrong with a source that somebody wrote, whatever its language."""
    lines = len(text.splitlines())
    if lines > LINES_MAX:
        yield f"has {lines} lines, more than {LINES_MAX}"


def broken_by_python(path: Path, text: str) -> Iterator[str]:
    """Yield what is wrong with a Python source that somebody wrote."""
    tree = ast.parse(text)
    if tree.body and ast.get_docstring(tree) is None:
        yield "has no docstring that says what it is for"
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    yield f"{node.name}() has {lines} lines, more than {FUNCTION_LINES_MAX}"
            case ast.ExceptHandler(body=[ast.Pass()]) if _catches_everything(node):
                yield f"line {node.lineno} swallows every error"
            case ast.Call(func=ast.Name(id="print")) if not _may_print(path):
                yield f"line {node.lineno} prints: raise, return or log instead"


def _may_print(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in PRINTERS)


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) in ("Exception", "BaseException")
