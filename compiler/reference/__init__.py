"""The reference: everything that can be written, from the schemas and the commands' options."""
