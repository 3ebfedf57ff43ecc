"""The compiler: workflow text in, a bundle of concrete jobs out.

Imports yaml, jsonschema, jinja2 and the standard library only, and the heavier of those late.
"""

__version__ = "0.1.0"
