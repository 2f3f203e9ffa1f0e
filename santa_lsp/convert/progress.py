"""A progress bar in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(title: str, unit: str = "tensor") -> Iterator[Callable[[int, int], None]]:
    """Gives a callable for `on_progress` of `convert`: what is done, and all there is."""
    from tqdm import tqdm

    with tqdm(desc=title, unit=f" {unit}s") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
