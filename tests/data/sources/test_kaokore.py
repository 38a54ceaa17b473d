"""KaoKore from small lists in its format: classes, counts, splits, and images that are there, missing or wrong."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from file_server import Web, serve
from impasto.config.dataset import Dataset
from impasto.data import collection, remote
from impasto.data.images import Images
from impasto.data.sources import kaokore
from impasto.data.sources.kaokore import IMAGES, read
from impasto.data.sources.kaokore_lists import page_of, read_labels, read_urls, read_works, require_counts
from impasto.data.sources.kaokore_tables import CLASSES, PARTS, VERSIONS
from impasto.data.sources.registry import fetch
from impasto.errors import ImpastoError
from impasto.io import read_csv, read_json
from official_files import kaokore_folder, kaokore_image, kaokore_like, kaokore_lists, kaokore_rows, kaokore_web

N = 90  # labelled
LONE = kaokore_rows()[0]  # labelled, without an address


def dataset(root: Path | None = None, **changes: Any) -> Dataset:
    values = {"name": "kaokore", "root": root and str(root), "published": True, "version": "1.2", "task": "status"}
    values |= {"split": "official", "size": 32, "test": 0.2, "validation": 0.1, "imbalance": 1.0, "seed": 0}
    return Dataset.model_validate(values | changes)


def pixels(place: int, size: int = 32) -> np.ndarray:
    """The image of a place, read by hand."""
    with Image.open(io.BytesIO(kaokore_image(place))) as opened:
        return np.asarray(opened.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)).transpose(2, 0, 1)


def places(images: Images) -> list[int]:
    """Which images they are."""
    known = {pixels(place).tobytes(): place for *_, place in kaokore_rows()}
    return [known[image.tobytes()] for image in images.pixels]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return kaokore_folder(tmp_path / "faces")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    monkeypatch.setattr(collection, "_PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as found:
        found.files = kaokore_web(found.address)
        monkeypatch.setitem(kaokore.VERSIONS, "1.2", kaokore_like(found.address))
        yield found


class TestTables:
    """The numbers of the published lists agree with each other."""

    @pytest.mark.parametrize("version", VERSIONS)
    def test_the_tasks_count_the_same_images(self, version: str) -> None:
        counts = VERSIONS[version].counts
        totals = {task: [sum(filter(None, counts[task][part])) for part in PARTS] for task in ("status", "gender")}
        published = {"1.0": [4238, 533, 527], "1.1": [6568, 826, 821], "1.2": [6756, 845, 845], "1.3": [7405, 926, 926]}
        assert totals["status"] == totals["gender"] == published[version]
        assert [len(row) for task in counts.values() for row in task.values()] == [
            len(CLASSES[task]) for task in counts for _ in counts[task]
        ]
        labelled = sum(published[version]) - VERSIONS[version].unreachable
        assert labelled < VERSIONS[version].images <= VERSIONS[version].lines

    @pytest.mark.parametrize(
        ("version", "listed", "unlabelled", "largest", "women"),
        [
            ("1.0", (5824, 5552, 0), 254, (48.3, 48.8, 47.4), (989, 120, 126)),
            ("1.1", (8845, 8573, 40), 398, (48.2, 49.9, 47.0), (1534, 176, 182)),
            ("1.2", (8848, 8848, 0), 402, (47.0, 51.2, 45.4), (1523, 193, 186)),
            ("1.3", (9683, 9683, 0), 426, (49.2, 48.4, 49.5), (1698, 231, 223)),
        ],
    )
    def test_known_numbers(
        self, version: str, listed: Any, unlabelled: int, largest: Any, women: tuple[int, ...]
    ) -> None:
        """Lines, addresses and how many labelled images lack one; nobles in %, which is the floor of an accuracy."""
        found = VERSIONS[version]
        assert (found.lines, found.images, found.unreachable) == listed
        status, gender = ([found.counts[task][part] for part in PARTS] for task in ("status", "gender"))
        assert found.images - (sum(map(sum, status)) - found.unreachable) == unlabelled
        assert [round(100 * row[0] / sum(row), 1) for row in status] == list(largest)
        assert tuple(row[1] for row in gender) == women

    def test_the_combinations_add_up(self) -> None:
        counts = VERSIONS["1.2"].counts
        joint = np.array(counts["joint"]["train"]).reshape(2, 4)
        assert joint.sum(0).tolist() == list(counts["status"]["train"])
        assert joint.sum(1).tolist() == list(counts["gender"]["train"])
        assert counts["joint"]["test"][5:7] == (9, 6)

    def test_classes_stand_in_the_order_of_the_numbers(self) -> None:
        """As labels.metadata.en.txt has them, and not as an image folder would sort them."""
        assert CLASSES["gender"] == ("male", "female")
        assert CLASSES["status"] == ("noble", "warrior", "incarnation", "commoner") != tuple(sorted(CLASSES["status"]))
        assert CLASSES["joint"][:5] == (
            "male_noble", "male_warrior", "male_incarnation", "male_commoner", "female_noble"
        )  # fmt: skip


@pytest.mark.parametrize("task", CLASSES)
def test_labels_and_pixels(folder: Path, task: str) -> None:
    """In the order of the list, train before dev; every size and mode as RGB of the size that is wanted."""
    train, test = read(kaokore_like(), dataset(folder, task=task))
    rows = [row for row in kaokore_rows() if row != LONE]
    wanted = [row for part in ("train", "dev") for row in rows if row[3] == part]
    number = {"gender": lambda g, s: g, "status": lambda g, s: s, "joint": lambda g, s: 4 * g + s}[task]
    for images, some in ((train, wanted), (test, [row for row in rows if row[3] == "test"])):
        assert images.classes == CLASSES[task]
        assert images.labels.tolist() == [number(g, s) for _, g, s, _, _ in some]
        assert places(images) == [place for *_, place in some]
    first = sum(row[3] == "train" for row in wanted)
    assert train.validation is not None and train.validation.tolist() == list(range(first, len(wanted)))
    assert test.validation is None and train.groups is test.groups is None


def test_labels_that_a_spreadsheet_has_saved(folder: Path) -> None:
    before = read_labels(folder / "labels.csv")
    lines = (folder / "labels.csv").read_text().splitlines()
    quoted = (",".join(f'"{cell}"' for cell in line.split(",")) for line in lines)
    (folder / "labels.csv").write_bytes("\r\n".join(["\ufeff" + next(quoted), *quoted, "", ""]).encode())
    assert read_labels(folder / "labels.csv") == before


def test_another_size(folder: Path) -> None:
    test = read(kaokore_like(), dataset(folder, size=16))[1]
    rows = [place for _, _, _, part, place in kaokore_rows() if part == "test" and place != LONE[4]]
    assert np.array_equal(test.pixels, np.stack([pixels(place, 16) for place in rows]))


def test_what_is_written_down(folder: Path, tmp_path: Path) -> None:
    for images in read(kaokore_like(), dataset(folder)):
        images.save(tmp_path / "saved")
        meta = read_json(tmp_path / "saved" / "meta.json")
        assert meta["licence"] == "CC BY-SA 4.0" and meta["left_out"] == [LONE[0]]
        assert (
            meta["attribution"].startswith('"KaoKore Dataset" (collected by CODH from') and "00000353" in meta["source"]
        )
        assert (meta["version"], meta["task"], meta["split"]) == ("1.2", "status", "official")
        again = Images.load(tmp_path / "saved")
        assert again.notes == images.notes and (again.validation is None) == (images.validation is None)
        assert images.validation is None or np.array_equal(again.validation, images.validation)


class TestDownload:
    def test_from_the_configuration(self, web: Web, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Labelled images alone, each once; what lies there is the folder that `dataset.root` takes."""
        train, test = fetch(dataset())
        assert len(train) + len(test) == N - 1
        place = root / "data" / "official" / "kaokore" / "v1.2"
        asked = Counter(path for path, _ in web.asked)
        assert set(asked.values()) == {1} and len(asked) == N - 1 + 3
        assert "1 labelled images have no address in urls.txt and are left out" in capsys.readouterr().err
        for images, other in zip((train, test), fetch(dataset(place)), strict=True):
            assert np.array_equal(images.pixels, other.pixels) and np.array_equal(images.labels, other.labels)
            assert images.notes == other.notes and images.source == other.source
        fetch(dataset())
        assert len(web.asked) == N - 1 + 3, "nothing twice"

    def test_failures_are_told_and_made_good(self, web: Web, root: Path) -> None:
        """Gone, a page in place of an image, half an image: all three are named, nothing is made without them."""
        right, rows = dict(web.files), kaokore_rows()
        urls = kaokore_lists(web.address)["urls.txt"].decode().splitlines()
        paths = [urls[row[4]].removeprefix(web.address) for row in rows[1:4]]
        del web.files[paths[0]]
        web.files[paths[1]] = b"<!DOCTYPE html><html>Maintenance</html>"
        web.files[paths[2]] = web.files[paths[2]][: len(web.files[paths[2]]) // 2]
        with pytest.raises(
            ImpastoError, match=rf"3 files failed .* {N - 4} are there; all that failed stand in"
        ) as caught:
            fetch(dataset())
        failed = root / "data" / "official" / "kaokore" / "v1.2" / IMAGES / "failed.csv"
        assert str(failed) in str(caught.value)
        reasons = {row["name"]: row["reason"] for row in read_csv(failed)}
        assert reasons[rows[1][0]] == "HTTP 404" and "begins with '<!DOCTYPE html>" in reasons[rows[2][0]]
        assert "no image" in reasons[rows[3][0]] and "truncated" in reasons[rows[3][0]]
        web.files = right
        web.asked.clear()
        assert sum(map(len, fetch(dataset()))) == N - 1
        assert {path for path, _ in web.asked} == set(paths)

    @pytest.mark.parametrize("name", ["labels.csv", "urls.txt", "original_tags.txt"])
    def test_a_list_that_changed(self, web: Web, root: Path, name: str) -> None:
        fetch(dataset())
        file = root / "data" / "official" / "kaokore" / "v1.2" / name
        file.write_bytes(file.read_bytes() + b"\n")
        with pytest.raises(ImpastoError, match=rf"{name}\.pin\.json"):
            fetch(dataset())

    def test_the_second_address(self, web: Web, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        published = kaokore_like(web.address)
        mirrored = replace(published, addresses=(f"{web.address}/away", *published.addresses))
        monkeypatch.setitem(kaokore.VERSIONS, "1.2", mirrored)
        assert sum(map(len, fetch(dataset()))) == N - 1


def wrong(what: str, folder: Path, change: Any = None, **changes: Any) -> None:
    with pytest.raises(ImpastoError) as caught:
        read(replace(kaokore_like(), **(change or {})), dataset(folder, **changes))
    assert what in str(caught.value) and "\n" not in str(caught.value)


class TestCounts:
    """Held against the table before anything is decoded."""

    @pytest.mark.parametrize(("column", "told"), [(1, "gender"), (2, "status")])
    def test_a_class(self, folder: Path, column: int, told: str) -> None:
        lines = (folder / "labels.csv").read_text().splitlines()
        place = next(n for n, line in enumerate(lines) if line.endswith(",test"))
        cells = lines[place].split(",")
        cells[column] = str(int(cells[column]) ^ 1)
        (folder / "labels.csv").write_text("\n".join([*lines[:place], ",".join(cells), *lines[place + 1 :]]))
        wrong(f"images of {told} ", folder)
        wrong("in test, but version 1.2 has", folder)

    def test_a_lost_row(self, folder: Path) -> None:
        lines = (folder / "labels.csv").read_text().splitlines()
        (folder / "labels.csv").write_text("\n".join(lines[:-1]))
        wrong("labels.csv has ", folder)

    def test_the_combinations_where_they_are_known(self, folder: Path) -> None:
        """Two exchanged genders leave both tasks as they are."""
        rows = [list(row) for row in kaokore_rows()]
        one = next(row for row in rows if row[1:4] == [0, 0, "train"])
        other = next(row for row in rows if row[1:4] == [1, 1, "train"])
        one[1], other[1] = 1, 0
        text = "\n".join(["image,gender,status,set", *(",".join(map(str, row[:4])) for row in rows)])
        (folder / "labels.csv").write_text(text)
        wrong("has 5 images of joint male_noble in train, but version 1.2 has 6", folder)
        unknown: dict[str, Any] = dict(kaokore_like().counts) | {"joint": {"train": (None,) * 8}}
        assert read(kaokore_like(counts=unknown), dataset(folder))

    def test_lines_and_addresses(self, folder: Path) -> None:
        wrong("lines, but version 1.2 has", folder, {"lines": 7})
        wrong("addresses, but version 1.2 has", folder, {"images": 7})

    def test_the_published_table_refuses_the_small_lists(self, folder: Path) -> None:
        rows = read_labels(folder / "labels.csv")
        for published in VERSIONS.values():
            told = f"but version {published.version} has {published.counts['status']['train'][0]:,}"
            with pytest.raises(ImpastoError, match=rf"has 12 images of status noble in train, {told}"):
                require_counts(rows, published, folder / "labels.csv")


class TestFolder:
    def test_without_the_addresses(self, tmp_path: Path) -> None:
        """As many may be missing as are known to have no address, and no other number."""
        folder = kaokore_folder(tmp_path, urls=False)
        assert read(kaokore_like(), dataset(folder))[0].notes["left_out"] == [LONE[0]]
        for unreachable in (0, 2):
            wrong(f"lacks 1 of 90 labelled images ({LONE[0]})", folder, {"unreachable": unreachable})
        name = kaokore_rows()[5][0]
        (folder / IMAGES / name).unlink()
        wrong(f"lacks 2 of 90 labelled images ({LONE[0]}, {name})", folder)

    def test_a_missing_image(self, folder: Path) -> None:
        for name, *_ in kaokore_rows()[1:7]:
            (folder / IMAGES / name).unlink()
        (folder / IMAGES / kaokore_rows()[7][0]).write_bytes(b"")
        wrong("lacks 7 of 90 labelled images", folder)
        wrong(", ...) [dataset.root]", folder)

    def test_an_image_that_is_none(self, folder: Path) -> None:
        (folder / IMAGES / kaokore_rows()[9][0]).write_bytes(b"<html></html>")
        wrong("cannot be read as an image", folder)

    def test_own_lists(self, folder: Path) -> None:
        """Some of the images, with labels that no table knows: named for what they are."""
        lines = (folder / "labels.csv").read_text().splitlines()
        (folder / "labels.csv").write_text(
            "\n".join(line for line in lines if LONE[0] not in line)[:-30].rsplit("\n", 1)[0]
        )
        wrong("but version 1.2 has", folder)
        train, _ = read(kaokore_like(), dataset(folder, published=False))
        assert "not the published lists: labels.csv with sha256" in train.source
        kept = [line for line in lines if not line.endswith(",2,dev")]
        (folder / "labels.csv").write_text("\n".join(kept))
        wrong("has no image of status incarnation in dev", folder, published=False)

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("00000001.jpg,0,4,train", "has in line 2 '00000001.jpg,0,4,train', which is no image"),
            ("00000001.jpg,2,0,train", "has in line 2"),
            ("00000001.jpg,0,0,val", "has in line 2"),
            ("../../../1.jpg,0,0,train", "has in line 2"),
            ("00000001.jpg,0,0", "has in line 2"),
            ("00000001.jpg,,0,train", "has in line 2"),
            ("\n00000001.jpg,,0,train", "has in line 3"),
            (f"{LONE[0]},0,0,train", f"names {LONE[0]} twice"),
            ("99999999.jpg,0,0,train", "none for 99999999.jpg"),
        ],
    )
    def test_lines_that_are_none(self, folder: Path, line: str, told: str) -> None:
        lines = (folder / "labels.csv").read_text().splitlines()
        (folder / "labels.csv").write_text("\n".join([lines[0], line, *lines[1:]]))
        wrong(told, folder, published=False)

    def test_no_list(self, folder: Path) -> None:
        (folder / "labels.csv").write_text("image,status,gender,set\n")
        wrong("does not begin with the line image,gender,status,set", folder)
        (folder / "labels.csv").write_text("<html>" + "x" * 200_000)
        wrong("does not begin with the line image,gender,status,set", folder)
        (folder / "labels.csv").write_bytes(b"\xff\xfe")
        wrong("is no text in UTF-8", folder)
        (folder / "labels.csv").unlink()
        wrong("labels.csv does not exist", folder)


class TestDisjoint:
    def parts(self, folder: Path, **changes: Any) -> tuple[Images, Images]:
        return read(kaokore_like(), dataset(folder, split="disjoint", test=0.3, **changes))

    def test_no_work_and_no_page_is_divided(self, folder: Path) -> None:
        urls = (folder / "urls.txt").read_text().splitlines()
        works = read_works(folder / "original_tags.txt")
        train, test = self.parts(folder)
        assert sorted(places(train) + places(test)) == sorted(place for *_, place in kaokore_rows() if place != LONE[4])
        sides = [{tuple(works[f"{p:08d}.jpg"]) for p in places(part)} - {()} for part in (train, test)]
        pages = [{page_of(urls[p]) for p in places(part)} for part in (train, test)]
        assert sides[0] and sides[1] and not sides[0] & sides[1] and not pages[0] & pages[1]
        assert all(test.counts().values()) and train.validation is None
        assert train.groups is not None and len(train.groups) == len(train) and test.groups is None

    def test_training_rows_of_one_work_or_page_have_one_group(self, folder: Path) -> None:
        urls = (folder / "urls.txt").read_text().splitlines()
        train = self.parts(folder)[0]
        assert train.groups is not None
        named = read_works(folder / "original_tags.txt")
        wanted: dict[Any, int] = {}
        for place, group in zip(places(train), train.groups.tolist(), strict=True):
            work = named[f"{place:08d}.jpg"]
            assert wanted.setdefault(work[0] if work else page_of(urls[place]), group) == group
        assert len(set(wanted.values())) == len(wanted), "and rows of others have others"

    def test_the_seed_of_the_dataset_decides(self, folder: Path) -> None:
        found = [set(places(self.parts(folder, seed=seed)[1])) for seed in (0, 0, *range(1, 6))]
        assert found[0] == found[1] and any(one != found[0] for one in found[2:])

    def test_without_tags_there_is_no_such_split(self, folder: Path) -> None:
        text = (folder / "original_tags.txt").read_text()
        name = kaokore_rows()[3][0]
        (folder / "original_tags.txt").write_text(text.replace(name, "99999999.jpg"))
        wrong(f"has no line for {name}", folder, split="disjoint")
        (folder / "original_tags.txt").write_text(f"{text}no tags\n")
        wrong("'no tags', which is no image with tags", folder, split="disjoint")
        (folder / "original_tags.txt").unlink()
        wrong("original_tags.txt does not exist", folder, split="disjoint")
        assert read(kaokore_like(), dataset(folder)), "which the official split does not need"


def test_pages_and_works_as_they_are_published(tmp_path: Path) -> None:
    """Lines of the published files: three servers, a value with a space, several values, an empty one."""
    for page, crop in (
        ("http://codh.rois.ac.jp/pmjt/iiif/200020290/200020290_00016.tif", "4094,1888,348,348/256,256/0/default.jpg"),
        ("http://codh.rois.ac.jp/pmjt/iiif/200017771/200017771_00017.tif", "2366,1593,173,173/256,/0/default.jpg"),
        ("http://iiif.lib.keio.ac.jp/iipsrv/NRE/110X-445-3-2/tif/2_004.tif", "1770,958,188,188/!200,200/0/default.jpg"),
        ("https://rmda.kulib.kyoto-u.ac.jp/iiif/RB00013190/RB00013190_00040_0.ptif", "2112,852,8,8/256,256/0/a.jpg"),
    ):
        assert page_of(f"{page}/{crop}") == page
    lines = [
        "00005815.jpg:タグ=浦島太郎;制作年=不明 ;原典=浦島太郎;原典ID=10.20730/200017771 ;向き=横;身分=貴族",
        "00000060.jpg:タグ=;京都大学貴重資料デジタルアーカイブレコードID=RB00013523;原典=しほやきぶんしょう 3巻",
        "00000061.jpg:原典=a;原典= b ;原典=",
        "00000062.jpg:原典=",
    ]
    (tmp_path / "tags").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = list(read_works(tmp_path / "tags").values())
    assert found == [["浦島太郎"], ["しほやきぶんしょう 3巻"], ["a", "b"], []]
    (tmp_path / "urls").write_bytes(b"http://a/1\r\n\r\nhttp://a/3\r\n")
    assert read_urls(tmp_path / "urls") == ["http://a/1", "", "http://a/3"]
