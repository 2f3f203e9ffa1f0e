"""The error of a training run."""


class TrainError(Exception):
    """Training cannot start or go on. The message names the remedy."""
