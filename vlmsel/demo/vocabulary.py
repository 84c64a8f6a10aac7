"""The cut-down vocabulary of the demo models: the first merges of open_clip's own."""

import gzip
from pathlib import Path

from vlmsel.demo.recipes import VOCAB_SIZE

MERGES = VOCAB_SIZE - 512 - 2
BPE_FILE = "bpe.txt.gz"


def write_vocabulary(path: Path) -> Path:
    """Writes the merges file that `open_clip.SimpleTokenizer(bpe_path=...)` reads.

    The file is the same byte for byte every time: gzip is told no time and no name.
    """
    from open_clip.tokenizer import default_bpe

    with gzip.open(default_bpe(), "rt", encoding="utf-8") as lines:
        merges = [next(lines).strip() for _ in range(MERGES + 1)][1:]
    # The tokenizer skips the first line, and would read a last empty one as a merge.
    text = "\n".join(["#version: first merges of bpe_simple_vocab_16e6", *merges])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))
    return path
