"""Models of strings, one of them with a vocabulary file among its assets."""

import tempfile
from pathlib import Path

import tensorflow as tf
from export import DEFAULT, function, save, spec

VOCABULARY = ("apple", "pear", "plum", "crème brûlée")


class Strings(tf.Module):
    @function(spec("text", tf.string, [None]))
    def __call__(self, text):
        return {
            "lower": tf.strings.lower(text),
            "length": tf.strings.length(text),
            "joined": tf.strings.reduce_join(text, separator="|"),
        }


class Shout(tf.Module):
    """One string in, one string out: what the text service serves plainly."""

    @function(spec("text", tf.string, [None]))
    def __call__(self, text):
        return {"loud": tf.strings.join([tf.strings.upper(text, "utf-8"), "!"])}


class Utf16(tf.Module):
    """Strings whose bytes are not UTF-8."""

    @function(spec("text", tf.string, [None]))
    def __call__(self, text):
        return {"encoded": tf.strings.unicode_transcode(text, "UTF-8", "UTF-16-BE")}


class Table(tf.Module):
    def __init__(self, vocabulary: Path):
        super().__init__()
        lines = tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        back = tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
        )
        self.numbers = tf.lookup.StaticHashTable(lines, -1)
        self.words = tf.lookup.StaticHashTable(back, "?")

    @function(spec("word", tf.string, [None]))
    def __call__(self, word):
        return {"id": self.numbers.lookup(word)}

    @function(spec("id", tf.int64, [None]))
    def reverse(self, id):
        return {"word": self.words.lookup(id)}


def make(out: Path) -> None:
    save(Strings(), out / "strings" / "1")
    save(Shout(), out / "shout" / "1")
    save(Utf16(), out / "utf16" / "1")
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocabulary.txt"
        vocabulary.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
        table = Table(vocabulary)
        save(table, out / "table" / "1", {DEFAULT: table.__call__, "reverse": table.reverse})
