from __future__ import annotations

from pathlib import Path

import pytest

from tfrec_vis import sources
from tfrec_vis.errors import InputError

SHARED = Path(__file__).resolve().parents[2].parent / "shared/data/hm-fashion"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "transactions_train.csv").write_text(
        "t_dat,customer_id,article_id,price,sales_channel_id\n"
        "2018-09-20,000133,0493995001,0.0209,2\n"
    )
    (tmp_path / "articles.csv").write_text(
        "article_id,product_code,prod_name,product_type_name,colour_group_name\n"
        '0493995001,0493995,"Top, ""S""",Vest top,Black\n'
        "short\n"
    )
    return tmp_path


def test_rows(folder, run):
    source = sources.create({"kind": "hm", "path": folder.name}, str(folder.parent))
    source.check()
    assert (source.has_labels, source.timestamp_format) == (False, "iso")
    assert source.context_features == ()
    assert source.item_features == ("product_code", "colour_group_name")
    assert source.image_roots == (str(folder),)
    assert run(source.interactions()) == [
        sources.RawRow(
            "transactions_train.csv:2",
            {"user_id": "000133", "item_id": "0493995001", "timestamp": "2018-09-20"},
        )
    ]
    item, short = run(source.catalogue())
    assert item.values == {
        "item_id": "0493995001",
        "image": "images/049/0493995001.jpg",
        "title": 'Top, "S"',
        "category": "Vest top",
        "product_code": "0493995",
        "colour_group_name": "Black",
    }
    assert (short.where, short.problem) == ("articles.csv:3", "ragged_row")


@pytest.mark.parametrize("name", ["transactions_train.csv", "articles.csv"])
def test_missing_file_and_column(folder, name):
    def check() -> None:
        sources.create({"kind": "hm", "path": str(folder)}, ".").check()

    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("article_id", "article"))
    with pytest.raises(InputError, match=f"{name} has no column 'article_id'.*'article'"):
        check()
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"file at .*{name}; correct source.path"):
        check()


def test_missing_path_and_images(folder):
    with pytest.raises(InputError, match="source.path is missing"):
        sources.create({"kind": "hm"}, ".")
    (folder / "images").rmdir()
    with pytest.raises(InputError, match="no folder .*images"):
        sources.create({"kind": "hm", "path": str(folder)}, ".").check()


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data/hm-fashion")
def test_shared_data(run):
    source = sources.create({"kind": "hm", "path": str(SHARED)}, ".")
    source.check()
    interactions = run(source.interactions())
    items = run(source.catalogue())
    assert (len(interactions), len(items)) == (31_662, 17_033)
    assert not any(row.problem for row in interactions + items)
    assert all((SHARED / str(row.values["image"])).is_file() for row in items[::500])
