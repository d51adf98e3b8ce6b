"""Which module may import which: the table that ``ARCHITECTURE.md`` draws, and its checker.

Names are matched as prefixes of dotted names, so ``from random import Random`` is
``random.Random``, and a rule on ``mesh.core`` covers all that lies in it. The longest rule wins.
"""

import ast
import re
from collections.abc import Iterable, Iterator

# Of this repository's own packages.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "mesh.core": ("mesh.core",),
    "mesh.sim": ("mesh.core", "mesh.sim"),
    "mesh": ("mesh",),
    "node_agent": ("mesh", "node_agent"),
    "coordinator": ("mesh", "coordinator"),
    "models": ("models",),
    # Before anything is installed; a test imports them without any package.
    "scripts": ("scripts", "mesh.engine_build.chosen", "mesh.engine_build.wheels"),
    "scripts.unplug": ("scripts", "bench", "mesh"),  # a demonstration: it runs a mesh
    "bench": ("bench", "mesh", "node_agent", "coordinator", "models", "scripts.browser"),
    "docs": ("mesh",),
    "tests": ("tests", "bench", "mesh", "node_agent", "coordinator", "models", "scripts", "docs"),
}
OURS = tuple(name for name in MAY_IMPORT if "." not in name)

# These decide, so the same input must give the same output. Whatever is not here has a clock, a
# die, a file or a thread in it, or nobody needed it yet; Random is passed in, seeded.
PURE = ("mesh.core", "mesh.sim")
PURE_LIBRARY = (
    *("__future__", "abc", "array", "base64", "bisect", "collections", "contextlib", "copy"),
    *(
        "dataclasses",
        "decimal",
        "difflib",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
    ),
    *("itertools", "json", "math", "operator", "random.Random", "re", "statistics", "string"),
    *("struct", "textwrap", "types", "typing", "unicodedata", "zlib"),
)
IMPURE_CALLS = ("open", "print", "input", "exec", "eval", "compile", "__import__")

MESSAGES = ("mesh.v1", "google.protobuf")
# What knows nothing of the wire, so that the wire may change without it.
NO_MESSAGES = (
    *("mesh.core", "mesh.sim", "mesh.discovery", "mesh.errors", "mesh.home", "mesh.settings"),
    *("node_agent.engine", "node_agent.library", "node_agent.probe", "models", "scripts"),
)
TRANSLATOR = "mesh.wire"  # the one place where messages become core types and back


def breaches(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Return what ``module`` does that its place forbids, one sentence each."""
    tree = ast.parse(source)
    imported = sorted(set(imported_names(tree, module, is_package=is_package)))
    found = [f"imports {name}" for name in imported if not _may_import(module, name)]
    if is_within(module, PURE):
        found += [f"calls {name}()" for name in _called_names(tree) if name in IMPURE_CALLS]
    if not is_within(module, (TRANSLATOR, "tests")):
        found += [f"translates messages in {name}()" for name in translations(tree)]
    return found


def imported_names(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the dotted name of everything that is imported, wherever in the module it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: None if is_package else -1]
                package = ".".join(above[: len(above) - node.level + 1])
                base = f"{package}.{base}" if base else package
            yield from (f"{base}.{alias.name}" for alias in node.names)


def translations(tree: ast.AST) -> list[str]:
    """Return the functions that copy fields of a message into a core type, or the other way round.

    One field is no translation: an id has to be read to look something up.
    """
    message = _names_bound_to(tree, MESSAGES)
    core = _names_bound_to(tree, ("mesh.core",)) if message else set()
    if not core:
        return []  # as for most modules: they know one of the two at most
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            taken = _parameters_of(node, message), _parameters_of(node, core)
            for call in ast.walk(node):
                if isinstance(call, ast.Call):
                    made = _root(call.func)
                    source = taken[0] if made in core else taken[1] if made in message else set()
                    if _fields_copied(call, source) >= 2:
                        found.append(node.name)
    return found


def is_within(name: str, prefixes: Iterable[str]) -> bool:
    """Return whether dotted ``name`` is one of ``prefixes`` or lies in one."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _may_import(module: str, name: str) -> bool:
    if is_within(name, MESSAGES) and is_within(module, NO_MESSAGES):
        return False
    if is_within(name, OURS):
        rule = max((rule for rule in MAY_IMPORT if is_within(module, [rule])), key=len)
        return is_within(name, MAY_IMPORT[rule])
    return not is_within(module, PURE) or is_within(name, PURE_LIBRARY)


def _called_names(tree: ast.AST) -> list[str]:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [called.id for called in calls if isinstance(called, ast.Name)]


def _names_bound_to(tree: ast.AST, prefixes: Iterable[str]) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if is_within(f"{node.module}.{alias.name}", prefixes)
    }


def _parameters_of(
    function: ast.FunctionDef | ast.AsyncFunctionDef, types: Iterable[str]
) -> set[str]:
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return {
        argument.arg
        for argument in every
        if argument.annotation is not None
        and any(re.search(rf"\b{name}\b", ast.unparse(argument.annotation)) for name in types)
    }


def _fields_copied(call: ast.Call, parameters: set[str]) -> int:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return sum(isinstance(value, ast.Attribute) and _root(value) in parameters for value in values)


def _root(expression: ast.expr) -> str:
    while isinstance(expression, ast.Attribute):
        expression = expression.value
    return expression.id if isinstance(expression, ast.Name) else ""
