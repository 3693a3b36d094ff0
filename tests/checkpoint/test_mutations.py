"""A damaged checkpoint is refused, or holds exactly what it held: never other weights in silence."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.checkpoint.specimens import entries, rewrite, same, saved, small_checkpoint
from vitscope.checkpoint.files import load_checkpoint
from vitscope.errors import CheckpointError, NotFiniteError

if TYPE_CHECKING:
    from pathlib import Path


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Flip bits, overwrite, insert, delete, move or repeat a few bytes somewhere."""
    mutated = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        position, length = chance.randrange(len(mutated)), chance.choice((1, 1, 2, 4, 16, 64))
        kind = chance.choice(("bit", "byte", "set", "insert", "delete", "repeat", "number"))
        if kind == "bit":
            mutated[position] ^= 1 << chance.randrange(8)
        elif kind == "byte":
            mutated[position] = chance.randrange(256)
        elif kind == "set":
            mutated[position : position + length] = chance.randbytes(length)
        elif kind == "insert":
            mutated[position:position] = chance.randbytes(length)
        elif kind == "delete":
            del mutated[position : position + length]
        elif kind == "repeat":
            mutated[position:position] = mutated[position : position + length]
        else:
            mutated[position : position + 4] = chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF)).to_bytes(
                4, "little"
            )
        if not mutated:
            return b""
    return bytes(mutated)


def outcome(path: Path) -> str:
    try:
        loaded = load_checkpoint(path)
    except (CheckpointError, NotFiniteError) as error:
        return "refused" if str(error).isprintable() else "more than one line"
    assert same(loaded, small_checkpoint())
    return "equal"


def mutate_files(folder: Path, count: int, seed: int) -> Counter[str]:
    path = saved(folder)
    whole, chance = path.read_bytes(), random.Random(seed)
    results: Counter[str] = Counter()
    for _ in range(count):
        path.write_bytes(mutate(whole, chance))
        results[outcome(path)] += 1
    return results


def mutate_entries(folder: Path, count: int, seed: int) -> Counter[str]:
    """Mutate the pickle or a storage, and pack it up again with right checksums: only the digest can tell."""
    path = saved(folder)
    files, chance = entries(path), random.Random(seed)
    names = [name for name in files if "data" in name and files[name]]
    results: Counter[str] = Counter()
    for _ in range(count):
        name = chance.choice(["archive/data.pkl", *names])
        rewrite(path, files | {name: mutate(files[name], chance)})
        results[outcome(path)] += 1
    return results


def check(results: Counter[str]) -> None:
    assert set(results) <= {"refused", "equal"}
    assert results["refused"] > 0.7 * results.total()


def test_few_mutations_of_the_file(tmp_path: Path):
    check(mutate_files(tmp_path, 600, seed=1))


@pytest.mark.slow
def test_few_mutations_below_the_checksums(tmp_path: Path):
    check(mutate_entries(tmp_path, 600, seed=2))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 8))
def test_many_mutations_of_the_file(seed: int, tmp_path: Path):
    check(mutate_files(tmp_path, 1000, seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8, 13))
def test_many_mutations_below_the_checksums(seed: int, tmp_path: Path):
    check(mutate_entries(tmp_path, 1000, seed))


def test_every_bit_of_the_weights_counts(tmp_path: Path):
    path = saved(tmp_path)
    files = entries(path)
    for name in [name for name in files if name.startswith("archive/data/")]:
        for bit in range(0, len(files[name]) * 8, 7):
            changed = bytearray(files[name])
            changed[bit // 8] ^= 1 << bit % 8
            rewrite(path, files | {name: bytes(changed)})
            with pytest.raises(CheckpointError, match="digest does not match"):
                load_checkpoint(path)
