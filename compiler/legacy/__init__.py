"""Import of the older tool's workflow files and command lines.

In come files of ``module:`` and ``option:`` lists and command lines, out come an hcrc workflow,
what has no counterpart in it, and a comparison that reads the workflow back.
"""
