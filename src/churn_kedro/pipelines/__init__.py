"""Kedro pipelines, one folder each."""

# `kedro run` runs these in order; any other pipeline is run by name.
MAIN_JOB = ("data_processing", "training", "evaluation", "registry", "inference")
