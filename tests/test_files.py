"""Atomic files: the old content or the new, never a part, and nothing left behind."""

import os

import pytest

from octavo.kernels.files import atomic_write


def test_the_new_content_appears_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_block_changes_nothing(tmp_path, error):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_write(path) as file:
        file.write(b"half of the n")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_reach_the_disk_before_the_name(tmp_path, monkeypatch):
    events = []

    def recorded(name, call):
        def record(*arguments):
            events.append(name)
            return call(*arguments)

        return record

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, recorded(name, getattr(os, name)))
    with atomic_write(tmp_path / "a") as file:
        file.write(b"a")
    assert events[:2] == ["fsync", "replace"]


def test_a_symbolic_link_stays(tmp_path):
    target, link = tmp_path / "step-10", tmp_path / "latest"
    target.write_bytes(b"old")
    link.symlink_to(target.name)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_long_names_and_ordinary_permissions(tmp_path):
    path, ordinary = tmp_path / ("n" * 255), tmp_path / "ordinary"
    ordinary.touch()
    with atomic_write(path) as file:
        file.write(b"x")
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_bad_paths_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="create it first"), atomic_write(tmp_path / "no" / "a"):
        pass
    with pytest.raises(IsADirectoryError, match="name a file"), atomic_write(tmp_path):
        pass
