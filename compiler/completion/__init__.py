"""Tab completion: what is typed up to the cursor in, the words that may follow out.

While a user waits for TAB, only modules are imported that import nothing but ``os`` themselves;
``describe`` and ``facts`` read the commands and the workflows, once for each state of their files.
"""
