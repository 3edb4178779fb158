"""The layout table of docs/data.md names every set of the miniatures."""


def test_the_layout_table_names_every_set(repository):
    from sedkit.datasets.miniature_desed import FOLDERS

    text = (repository / "docs" / "data.md").read_text(encoding="utf-8")
    for layout in FOLDERS.values():
        for audio, path in layout.values():
            assert audio in text or "audio/eval/eval" in audio
            assert path.rsplit(".", 1)[0] in text or "eval/eval" in path
