"""Finding text, refusing what is not text, and holding some back."""

import io
import logging
import sys

import pytest

from octavo.nn.text import Document, iterate_texts, read_texts, split_texts


def test_a_file_keeps_its_line_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("één\r\ntwee\n".encode())
    assert read_texts(path) == [("a.txt", "één\r\ntwee\n")]


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("größe".encode()), encoding="ascii"))
    assert read_texts("-") == [("standard input", "größe")]


def test_a_folder_is_read_in_order_without_what_is_not_text(tmp_path, caplog):
    for name, data in {
        "b/z.txt": b"3",
        "b/a.md": b"2",
        "a.txt": b"1",
        ".git/config": b"hidden",
        ".hidden": b"hidden",
        "empty": b"",
        "photo": b"\x89PNG\0",
        "latin": "é".encode("latin-1"),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "dangling").symlink_to("nowhere")
    with caplog.at_level(logging.WARNING):
        assert read_texts(tmp_path) == [("a.txt", "1"), ("b/a.md", "2"), ("b/z.txt", "3")]
    assert "skipped 2 files" in caplog.text


def test_the_standard_library_is_at_hand():
    names = [name for name, _ in read_texts()]
    assert "json/decoder.py" in names and len(names) > 300
    assert names == sorted(names)
    folders = {folder for name in names for folder in name.split("/")[:-1]}
    assert not folders & {"site-packages", "dist-packages", "test", "tests", "__pycache__"}


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is empty; give UTF-8 text"),
        (b"ab\0", r"is binary \(byte 2 is NUL\); give plain text"),
        (b"caf\xe9", r"is not UTF-8 \(byte 3 is 0xe9\); convert it"),
    ],
)
def test_a_file_that_is_not_text(tmp_path, data, message):
    path = tmp_path / "corpus"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"corpus {message}"):
        read_texts(path)


def test_large_files_come_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("octavo.nn.text._PIECE", 4)
    for name, data in {"a": "één\r\n", "b": "twee", "c": "日本語", "d": "\0drie", "e": ""}.items():
        (tmp_path / name).write_bytes(data.encode())
    texts = [text if isinstance(text, str) else list(text) for text in iterate_texts(tmp_path)]
    assert texts == [["éé", "n\r\n"], "twee", ["日", "本", "語"]]
    assert [document.text for document in read_texts(tmp_path)] == ["één\r\n", "twee", "日本語"]
    assert ["".join(text) for text in iterate_texts(tmp_path / "c")] == ["日本語"]
    (tmp_path / "c").write_bytes("日本語".encode()[:-1])
    with pytest.raises(ValueError, match=r"c is not UTF-8 \(byte 6 is 0xe8\)"):
        ["".join(text) for text in iterate_texts(tmp_path / "c")]
    with pytest.raises(FileNotFoundError, match="give a file, a folder"):
        next(iterate_texts(tmp_path / "none"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("größe".encode()), encoding="ascii"))
    assert ["".join(text) for text in iterate_texts("-")] == ["größe"]


def test_nothing_to_read(tmp_path):
    for missing in (tmp_path / "none", ""):
        with pytest.raises(FileNotFoundError, match="give a file, a folder, or - for standard input"):
            read_texts(missing)
    with pytest.raises(ValueError, match="holds no text file to read"):
        read_texts(tmp_path)


def test_one_document_is_cut_near_its_end():
    split = split_texts([Document("a", "0123456789" * 3)])
    assert (split.train, split.val, split.whole_documents) == (["0123456789" * 2 + "0123456"], ["789"], False)
    assert str(split) == "train 1 document, 27 characters; validation 1 document, 3 characters"
    assert split_texts([Document("a", "ab")], val_fraction=0.99).train == ["a"]


def test_several_documents_stay_whole_and_on_their_side():
    documents = [Document(f"{i}.txt", str(i)) for i in range(100)]
    split = split_texts(documents)
    assert len(split.val) == 10 and split.whole_documents
    assert sorted(split.train + split.val, key=int) == [text for _, text in documents]
    assert split.train == sorted(split.train, key=int)
    again = split_texts(documents[::-1])
    assert sorted(again.val) == sorted(split.val)
    # Pinned: a resumed run on another machine or version must hold back the same documents.
    assert split_texts(documents, 0.02).val == ["39", "77"]
    not_unicode = Document("caf\udce9.txt", "a name as the file system gives it")
    for fraction in (0.001, 0.999):
        split = split_texts([*documents[:1], not_unicode], fraction)
        assert len(split.train) == len(split.val) == 1


def test_what_cannot_be_split():
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.0"):
        split_texts([Document("a", "abc")], 1.0)
    with pytest.raises(ValueError, match="a is too short to hold some back"):
        split_texts([Document("a", "x")])
    with pytest.raises(ValueError, match="no document"):
        split_texts([])
