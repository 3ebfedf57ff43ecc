"""What a plan is made of and what a change of it means: trace, why, diff and inspect.

They read bundles and compile again, and write nothing.
"""
