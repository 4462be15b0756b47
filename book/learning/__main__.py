from ..section import run_chapter

run_chapter(__package__)
