"""What a training run raises."""


class TrainError(Exception):
    """Training cannot start or go on; says what to do."""
