"""Evaluate a model as the server would run it; `python -m model.evaluate --help` shows the tasks.

`task.py` has the interface of a task, `run.py` runs any task, `report.py` shows the results.
"""
