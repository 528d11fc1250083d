"""Every file stays readable: small, explained, finished, and named in the field's words."""

from __future__ import annotations

import ast
import re

from tests.tidy.tree import PACKAGE, modules

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
EMPTY_WORDS = re.compile(r"(Manager|Helper|Utils?)$")
EMPTY_MODULES = {"utils", "util", "common", "helpers", "misc"}


def test_files_are_short() -> None:
    sizes = {module.where: len(module.text.splitlines()) for module in modules()}
    assert {where: size for where, size in sizes.items() if size > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = {}
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > MAX_FUNCTION_LINES:
                    long[f"{module.where}:{node.lineno} {node.name}"] = size
    assert long == {}


def test_every_module_and_package_says_what_it_is() -> None:
    assert [module.where for module in modules() if not module.docstring] == []
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_annotations_are_deferred_everywhere() -> None:
    first = "from __future__ import annotations"
    defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    with_code = [module for module in modules() if any(isinstance(n, defining) for n in module.tree.body)]
    assert [module.where for module in with_code if first not in module.text] == []


def test_nothing_is_left_unfinished() -> None:
    unfinished = [
        f"{module.where}:{number}: {line.strip()}"
        for module in modules()
        for number, line in enumerate(module.text.splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert unfinished == []


def test_names_say_something() -> None:
    named = [(m.where, n.name) for m in modules() for n in ast.walk(m.tree) if isinstance(n, ast.ClassDef)]
    assert [(where, name) for where, name in named if EMPTY_WORDS.search(name)] == []
    assert [module.where for module in modules() if module.path.stem in EMPTY_MODULES] == []
