"""Kedro pipelines, one folder each."""

# `kedro run` alone runs these in order; any other pipeline is run by its name.
MAIN_JOB = ("data_processing", "training", "evaluation", "registry", "inference")
