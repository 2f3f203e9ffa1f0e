"""Train or fine-tune a model of any family, in one process or many.

    python -m model.train --config model/configs/santa-mini.toml --data DATA --out runs/santa-mini
    python -m model.train --out runs/santa-mini --resume --max-minutes 30
    python -m model.train --init-from santa-mini --data MY_REPOSITORY --out runs/mine
    python -m model.train --init-from QWEN_CHECKPOINT --lora --data MY_REPOSITORY --out runs/qwen
    torchrun --nproc-per-node 8 -m model.train --config FILE --data DATA --out RUN

DATA is a folder written by model.data or, with --init-from, a corpus of model.corpus or any folder
of source files. RUN gets `checkpoint/` (weights, config.json, tokenizer.json, training state),
`log.jsonl`, `tensorboard/`, `loss.svg` and `samples.md` (completions of held-out text). A run that
is stopped anywhere goes on with --resume from its last checkpoint to the same weights, bit by bit
on one CPU: the order of the data and all randomness depend on seed and step alone.
"""

from model.train.config import TrainConfig
from model.train.errors import TrainError
from model.train.trainer import Trainer

__all__ = ["TrainConfig", "TrainError", "Trainer"]
