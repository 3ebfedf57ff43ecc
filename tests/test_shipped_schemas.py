"""The shipped schemas: that they are closed, known to the fast check, and lead somewhere."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hcrc.compiler.codes import CODES
from hcrc.compiler.conform import Checks
from hcrc.compiler.schema import load_schemas, validate, without_placeholders
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from .schemas import node

SHIPPED = sorted(load_schemas())
LANGUAGE = [
    f"{name}.schema.json"
    for name in ("classifier", "common", "dataset", "definitions", "settings", "workflow")
]


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("bound", [False, True])
def test_shipped_schemas_are_schemas(name: str, bound: bool) -> None:
    schema = load_schemas()[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == name
    Draft202012Validator.check_schema(without_placeholders(schema) if bound else schema)


def subschemas(schema: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find all schemas in a schema, with the path to each."""
    yield place, schema
    for key in ("properties", "$defs", "patternProperties"):
        for name, inner in schema.get(key, {}).items():
            yield from subschemas(inner, f"{place}/{key}/{name}")
    for key in ("items", "additionalProperties", "propertyNames", "then", "else"):
        if isinstance(schema.get(key), dict):
            yield from subschemas(schema[key], f"{place}/{key}")
    for key in ("allOf", "anyOf", "oneOf", "prefixItems"):
        for index, inner in enumerate(schema.get(key, [])):
            yield from subschemas(inner, f"{place}/{key}/{index}")


def is_closed(schema: dict[str, Any]) -> bool:
    """Tell whether a schema of an object says what keys are allowed, itself or by its kind."""
    chosen = bool(schema.get("allOf")) and all("then" in part for part in schema["allOf"])
    return chosen or "additionalProperties" in schema


@pytest.mark.parametrize("name", LANGUAGE)
def test_the_fast_check_knows_every_keyword(name: str) -> None:
    """Checks are made when a value needs them; that is too late to find that one is missing."""
    checks = Checks(load_schemas())
    for place, schema in subschemas(load_schemas()[name], name):
        assert callable(checks.schema(schema, name)), place


@pytest.mark.parametrize("name", LANGUAGE)
def test_objects_of_the_language_are_closed_and_have_titles(name: str) -> None:
    for place, schema in subschemas(load_schemas()[name], name):
        if "properties" in schema:
            assert is_closed(schema), place
            assert "title" in schema or "if" in schema, place
        assert "unevaluatedProperties" not in schema, place


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_references_lead_somewhere(name: str) -> None:
    for place, schema in subschemas(load_schemas()[name], name):
        if "$ref" in schema:
            file, _, path = schema["$ref"].partition("#")
            target = load_schemas()[file or name]
            for step in filter(None, path.split("/")):
                assert step in target, place
                target = target[step]


KEYS = st.sampled_from(["hcrc", "name", "parameters", "tasks", "a", "b", "task", "datasets", "use",
                        "training", "for", "samples", "type", "norm"])  # fmt: skip
LEAVES = st.sampled_from(
    ["1", "1.5", "true", "null", "''", "train", "cache", "'{x}'", "{x}", ".nan", "-1"]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(KEYS, inner, max_size=4).map(
            lambda entries: (
                "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"
            )
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(TREES, st.booleans())
def test_no_tree_makes_validation_raise(text: str, bound: bool) -> None:
    for schema in (
        "workflow.schema.json",
        "dataset.schema.json",
        "workflow.schema.json#/$defs/train",
    ):
        for found in validate(node(text), schema, bound=bound):
            assert found.code in CODES
            assert "is not valid under" not in found.message


def test_importing_the_compiler_imports_no_heavy_module() -> None:
    code = (
        "import sys, hcrc.compiler.parse, hcrc.compiler.schema, hcrc.compiler.parameters\n"
        "print([m for m in ('jsonschema', 'jinja2', 'numpy', 'torch') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
