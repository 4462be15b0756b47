"""Which pairs of tokens to merge: the most frequent one, again and again.

All distinct words stand one after another in one array, in which a merge makes one token of two and links
their neighbours together. Only the counts of the pairs around it change, so a merge costs as much as its
pair has places. A pair's count grows only in the step that makes the younger of its tokens, and later it
can but fall. So each pair enters the heap then, and a count that has fallen since is put right when it
comes to the top.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import pairwise

from .base import texts_of
from .words import byte_ids, words

Pair = tuple[int, int]
Progress = Callable[[int, int], None]

_END = -1  # stands between words, and where a token was merged into the one before it


def count_words(texts: str | Iterable[str]) -> Counter[str]:
    """How often each word occurs."""
    counts: Counter[str] = Counter()
    for text in texts_of(texts):
        counts.update(words(text))
    return counts


def learn_merges(counted: Mapping[str, int], n_merges: int, progress: Progress | None = None) -> list[Pair]:
    """At most `n_merges` pairs of ids, in the order of merging; merge m makes the id 256 + m.

    The most frequent pair comes first, of equally frequent ones the smallest pair of ids. There are fewer
    when every word has become one token.
    """
    ids, times = _lay_out(counted)
    before = array("q", range(-1, len(ids) - 1))
    after = array("q", range(1, len(ids) + 1))
    counts: defaultdict[Pair, int] = defaultdict(int)
    places: defaultdict[Pair, array[int]] = defaultdict(partial(array, "q"))
    for place, pair in enumerate(pairwise(ids)):
        if _END not in pair:
            counts[pair] += times[place]
            places[pair].append(place)

    heap = [(-count, pair) for pair, count in counts.items()]
    heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        count, pair = heappop(heap)
        if -count != counts[pair]:
            if counts[pair]:
                heappush(heap, (-counts[pair], pair))
            continue
        left, right = pair
        new = 256 + len(merges)
        fresh: set[Pair] = set()
        for place in places.pop(pair):
            second = after[place]
            if ids[place] != left or ids[second] != right:
                continue  # another merge took one of the two
            first, last, n = before[place], after[second], times[place]
            if ids[first] != _END:
                counts[ids[first], left] -= n
                counts[ids[first], new] += n
                places[ids[first], new].append(first)
                fresh.add((ids[first], new))
            if ids[last] != _END:
                counts[right, ids[last]] -= n
                counts[new, ids[last]] += n
                places[new, ids[last]].append(place)
                fresh.add((new, ids[last]))
            ids[place], ids[second] = new, _END
            after[place], before[last] = last, place
        for pair in fresh:
            if counts[pair]:
                heappush(heap, (-counts[pair], pair))
        merges.append((left, right))
        if progress:
            progress(len(merges), n_merges)
    return merges


def _lay_out(counted: Mapping[str, int]) -> tuple["array[int]", "array[int]"]:
    """The ids of all words, each word closed by _END, and at each place how often its word occurs."""
    ids, times = array("i", [_END]), array("q", [0])
    for word, count in counted.items():
        word_ids = byte_ids(word)
        if len(word_ids) > 1:
            ids.extend(word_ids)
            ids.append(_END)
            times.extend([count] * (len(word_ids) + 1))
    return ids, times
