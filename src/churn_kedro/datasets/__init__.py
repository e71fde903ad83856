"""The project's own Kedro datasets: every side effect that no library dataset covers.

Classes are named in the catalog by their module (``churn_kedro.datasets.tables.TableDataset``), so that a command loads
only what it uses.
"""
