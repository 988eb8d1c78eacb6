"""Folders that cannot be written to are named before anything is computed."""

from __future__ import annotations

import errno
import os
import tempfile

import pytest

from simclr_lib import data
from simclr_lib.config import Config
from simclr_lib.paths import data_dir, output_dir, writable


def test_a_folder_that_can_be_written_to_is_made_and_left_empty(tmp_path):
    place = tmp_path / "a" / "b"
    assert writable(place, "output_dir") == place
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300])
def test_a_folder_that_cannot_be_made_is_named_with_parameter_and_reason(tmp_path, name):
    (tmp_path / "file").write_text("in the way")
    words = r"output_dir='.*' is not valid; it must be a folder that can be written to \(\w+"
    with pytest.raises(ValueError, match=words):
        writable(tmp_path / name, "output_dir")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_takes_no_file_is_named_with_the_reason(tmp_path, monkeypatch, code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(ValueError, match=rf"data_dir=.*\({os.strerror(code)}\)"):
        writable(tmp_path, "data_dir")


def test_the_home_of_nobody_is_no_place():
    config = Config.create("smoke", output_dir="~nobody-of-this-name", data_dir="~nobody-of-this/x")
    with pytest.raises(ValueError, match="output_dir='~nobody-of-this-name' is not valid"):
        output_dir(config)
    with pytest.raises(ValueError, match="data_dir='~nobody-of-this/x' is not valid"):
        data_dir(config)


def test_a_download_into_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match=r"data_dir='.*file' is not valid.*\(File exists\)"):
        data.load(Config.create("laptop", data_dir=str(tmp_path / "file")))
