"""Learning from data"""

SECTIONS: tuple[str, ...] = ()
