"""Evaluate a model as the server would run it; `python -m model.evaluate --help` shows the tasks.

`task.py` says what a task is, `run.py` runs any of them, `report.py` shows what came out.
"""
