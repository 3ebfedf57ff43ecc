"""A bundle on HTCondor: hand it to DAGMan, and tell from its files how it goes."""
