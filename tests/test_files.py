import pytest

from curvezoo.files import replacing, sweep, write_json


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_is_written_completely_and_leaves_no_temporary_file(tmp_path, before):
    path = tmp_path / "a.json"
    if before:
        path.write_text(before)
    write_json(path, {"k": 1})
    assert path.read_text() == '{\n  "k": 1\n}\n'
    assert names(tmp_path) == ["a.json"]


def test_a_new_folder_replaces_the_old_one(tmp_path):
    for content in ("one", "two"):
        with replacing(tmp_path / "d") as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["two"]


def test_a_file_does_not_replace_a_folder(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "notes").write_text("mine")
    with (
        pytest.raises(IsADirectoryError, match=r"Is a directory: .*d'"),
        replacing(tmp_path / "d") as temporary,
    ):
        temporary.write_text("new")
    assert names(tmp_path) == ["d"]
    assert (tmp_path / "d" / "notes").read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_after_an_error_only_the_old_file_or_folder_remains(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_text("old")
    with pytest.raises(OSError, match="full"), replacing(path) as temporary:
        temporary.write_text("half")
        raise OSError("full")
    assert names(tmp_path) == ["x"]
    assert path.is_dir() if kind == "folder" else path.read_text() == "old"


def test_sweep_removes_the_temporary_files_of_killed_processes(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".epoch-0002.99.partial").mkdir()
    (tmp_path / "deep" / ".model.99.old").write_text("")
    (tmp_path / "deep" / "kept.partial").write_text("")
    sweep(tmp_path)
    assert names(tmp_path / "deep") == ["kept.partial"]
