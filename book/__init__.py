"""The little book: every note of it a program that runs, a figure that it draws and a claim that it checks.

`python -m octavo.book` makes the pages of all; `python -m octavo.book.training.binary` runs one section, and
`python -m octavo.book.training` those of a chapter.
"""

CHAPTERS = ("learning", "tensors", "training")
