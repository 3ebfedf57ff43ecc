"""The runtime: one job spec in, results out. It never imports the compiler."""
