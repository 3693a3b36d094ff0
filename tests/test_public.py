"""What `import vitscope` offers."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import vitscope

ROOT = Path(__file__).parents[1]


def test_every_public_name_is_there_and_lazy():
    for name in vitscope.__all__:
        thing = getattr(vitscope, name)
        assert thing.__name__.rpartition(".")[2] == name
        assert thing.__doc__
        assert callable(thing)
        assert name in dir(vitscope)
    with pytest.raises(AttributeError, match="rolout"):
        vitscope.rolout  # noqa: B018


MODULES = sorted(path for part in ("vitscope", "trainers", "cli") for path in (ROOT / part).rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_all_lists_names_that_a_module_has(path):
    module = ast.parse(path.read_text(encoding="utf-8"))
    assigned = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    if "__all__" not in assigned:
        assert path.name in ("__init__.py", "__main__.py")
        return
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts if parts[0] == "vitscope" else ("vitscope", *parts)).removesuffix(".__init__")
    for item in ast.literal_eval(assigned["__all__"]):
        assert hasattr(import_module(name), item)


def test_readme_names_what_exists():
    """The presets and the options that the README shows are there."""
    from vitscope.trainers.presets import preset_names

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in preset_names():
        assert f"`{name}`" in text
    for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (ROOT / image).exists()
