"""The report stage: a page that stands alone, tells the run's own numbers, and a summary."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from ruamel.yaml import YAML

from impasto.config.base import tracked
from impasto.io import read_csv, read_json, read_record, write_record
from impasto.report import figures
from impasto.report.page import encode_png
from impasto.stages import command
from impasto.stages.report import report
from impasto.tracking.siblings import Sibling
from tiny import ROOT

THIN = "\u202f"
VOID = {"meta", "img", "source", "br", "link"}
TRACKED = list(tracked(ROOT / "dvc.yaml", "report"))
DOT = encode_png(np.zeros((1, 1, 3), np.uint8))
WriteRun = Callable[..., SimpleNamespace]


class Page(HTMLParser):
    """The page's text, its resources and whether every tag was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.resources: list[str] = []
        self.ids: set[str] = set()
        self.style = ""
        self.feed(text)
        self.close()
        assert not self.open
        self.text = re.sub(r"\s+", " ", " ".join(self.words).replace(THIN, "~")).replace("~", THIN)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.resources += [values[name] for name in ("src", "srcset", "href", "data", "action") if name in values]
        self.ids |= {values["id"]} if "id" in values else set()
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.words.append(data)


class Log:
    """A run that remembers what it was told."""

    def __init__(self) -> None:
        self.files: list[tuple[str, str | None]] = []
        self.final: Mapping[str, Any] = {}

    def artifact(self, path: Path, folder: str | None = None) -> None:
        self.files.append((path.name, folder))

    def siblings(self, leaf: str) -> list[Sibling]:
        assert leaf == "lambda_s"
        return [Sibling(0.125, {"clean": 0.5, "C": 0.25})]

    def summary(self, metrics: Mapping[str, Any]) -> None:
        self.final = metrics


Report = tuple[SimpleNamespace, Page, Log]


@pytest.fixture(scope="module", autouse=True)
def logs() -> Iterator[list[Log]]:
    """Stand in for MLflow and for the plots, which have tests of their own."""
    kept: list[Log] = []

    @contextmanager
    def stage_run(*_: Any) -> Iterator[Log]:
        kept.append(Log())
        yield kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "stage_run", stage_run)
        patch.setattr(command, "log_dataset", lambda *_: None, raising=False)
        patch.setattr(figures, "both", lambda _: figures.Plot(light=DOT, dark=DOT))
        yield kept


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, write_run: WriteRun, logs: list[Log]) -> Callable[..., Report]:
    """A function that writes a run, reports it with the parameters that the stage tracks, and parses the page."""

    def one(changes: dict[str, Any] | None = None, **facts: Any) -> Report:
        folder = tmp_path_factory.mktemp("run")
        at = write_run(folder, {"style.method": "colour", **(changes or {})}, **facts)
        (folder / "dvc.yaml").write_text(json.dumps({"stages": {"report": {"params": TRACKED}}}))
        return at, again(at), logs[-1]

    return one


@pytest.fixture(scope="module")
def default(run: Callable[..., Report]) -> Report:
    """The default recipe, one seed."""
    return run()


@pytest.fixture
def copy(default: Report, tmp_path: Path) -> SimpleNamespace:
    """The default run, to be changed."""
    at, root = default[0], default[0].params.parent
    shutil.copytree(root, tmp_path / "run")
    return SimpleNamespace(**{name: tmp_path / "run" / path.relative_to(root) for name, path in vars(at).items()})


def again(at: SimpleNamespace) -> Page:
    report(**vars(at))
    return Page((at.out / "index.html").read_text())


def percent(value: float) -> str:
    return f"{100 * value:.1f}{THIN}%"


def heat(page: Page, corruption: str) -> list[str]:
    """The cells of one row of the table of corruptions."""
    table = page.text.split("Corruption by corruption")[1].split(", the mean of ")[0]
    found = re.search(rf"(?:\d|mean) {corruption.replace('_', ' ')} ([\d. ]+)", table)
    assert found, corruption
    return found[1].split()


def test_page_asks_the_network_for_nothing(default: Report) -> None:
    at, page, _ = default
    assert len(page.resources) >= 3 * 2 + 8 + 5  # plots in two themes, strip, contact sheets
    for address in page.resources:
        head, data = address.split(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data, validate=True).startswith(b"\x89PNG")
    assert "url(" not in page.style and "@import" not in page.style
    text = (at.out / "index.html").read_text()
    assert "<script" not in text and "<link" not in text and not re.search(r"https?://", text)
    assert "prefers-color-scheme: dark" in page.style and "width=device-width" in text
    sections = {"result", "strip", "corruptions", "mix", "training", "classes", "seeing", "confidence", "time"}
    assert page.ids == sections | {"pictures", "meaning"}


def test_numbers_on_the_page_are_the_measured_ones(default: Report) -> None:
    at, page, _ = default
    scores, costs = read_record(at.evaluation), [read_record(path) for path in at.times.glob("*.json")]
    for kind in ("base", "tuned"):
        only = scores[kind]["seeds"]["0"]
        for name in ("clean", "C", "balanced", "worst_class_recall"):
            assert percent(scores[kind][name]["mean"]) in page.text
        for name in ("clean_interval", "C_interval"):
            low, high = only[name]
            assert f"{100 * low:.1f} to {100 * high:.1f}{THIN}%" in page.text
    for name, value in scores["tuned"]["seeds"]["0"]["recall"].items():
        assert re.search(rf" {name} {re.escape(percent(value))} ", page.text)
    for row in read_csv(at.corruptions):
        if row["model"] == "tuned-0" and row["severity"] == "3":
            assert heat(page, row["corruption"])[2] == f"{int(row['correct']) / 10:.1f}"
    assert "bootstrap over the 1,000 test images" in page.text and "this run has one" in page.text
    assert len(costs) == 10 and sum(cost["wall_seconds"] for cost in costs) == pytest.approx(653.7)
    assert f"10{THIN}min 54{THIN}s" in page.text


def test_each_class_has_its_scores_and_minorities_are_told(run: Callable[..., Report]) -> None:
    """1,000 images in 7 classes: 143 in each of six, 142 in the last."""
    at, page, _ = run(classes=tuple("abcdefg"))
    text = page.text.split("Class by class")[1]
    rows = {row["class"]: row for row in read_csv(at.classes) if row["model"] == "tuned-0"}
    assert rows["g"]["group"] == "minority" and {rows[c]["group"] for c in "abcdef"} == {"majority"}
    for name, heading in (("macro", "mean of the classes"), ("gap", "majority - minority")):
        row = rows[name]
        low, high = (f"{100 * float(row[f'f1_{end}']):.1f}" for end in ("low", "high"))
        told = rf"{heading} 1,000 {re.escape(percent(float(row['precision'])))} .*{low} to {high}"
        assert re.search(told, text), told
    assert re.search(rf" g minority 142 {re.escape(percent(float(rows['g']['precision'])))}", text)
    assert "fewer training images than the mean class" in text


def test_scores_that_rare_classes_move_stand_in_the_summary_where_there_are_any(run: Callable[..., Report]) -> None:
    at, _, _ = run(classes=tuple("abcdefg"))
    tuned = read_record(at.evaluation)["tuned"]
    wanted = {name: tuned[name]["mean"] for name in ("balanced", "worst_class_recall")}
    assert wanted.items() <= read_json(at.metrics).items()


def test_what_the_validation_split_chooses_is_told(default: Report, run: Callable[..., Report]) -> None:
    assert "Nothing is chosen by the validation split." in default[1].text
    chosen = {"train.averaging.start": 1.0, "train.selection.metric": "loss"}
    _, page, _ = run(chosen | {"finetune.selection.metric": "balanced_accuracy"})
    told = "chooses the model, by the lowest loss in training and the best balanced accuracy in fine-tuning"
    assert told in page.text and "Nothing is chosen" not in page.text


def test_fine_tuning_that_came_to_nothing_is_told(default: Report, copy: SimpleNamespace) -> None:
    assert "Fine-tuning made none better" not in default[1].text
    found = read_record(copy.evaluation)
    write_record(copy.evaluation, found | {"tuned": found["base"]})
    assert "Fine-tuning made none better: there the fine-tuned model is the trained one." in again(copy).text


def test_looks_are_told_from_the_first_tap_on_beside_their_null(default: Report, run: Callable[..., Report]) -> None:
    text = default[1].text.split("Where it looks")[1].split("Easy and hard")[0].replace(THIN, " ")
    values = [f"{mean:z.2f} ± 0.20" for mean in (0.63, 0.15, 0.74, 0.019)]
    assert f"attention, stride 8 8 × 8 positions, 200 pairs {' '.join(values)}" in text
    assert "Grad-CAM 4 × 4 positions, 199 pairs 0.61 ± 0.20 0.13 ± 0.20 0.72 ± 0.20 0.00 ± 0.20" in text
    places = [text.rindex(name) for name in ("attention, stride 8", "attention, stride 16", "4 × 4 positions, 199")]
    assert places == sorted(places)
    assert "the highest 20 % of the positions" in text and "over 200 test images" in text and "of seed" not in text
    _, page, _ = run(seeds=(3, 1))
    assert "fine-tuned model of seed 1 on test images" in page.text


def test_without_maps_the_page_says_why(default: Report, copy: SimpleNamespace) -> None:
    without = {**read_record(copy.overlap), "maps": {}}
    write_record(copy.overlap, without)
    text = again(copy).text
    assert "nothing is laid over its images" in text and "IoU" not in text and "IoU" in default[1].text
    maps = read_record(default[0].overlap)["maps"]
    write_record(copy.overlap, {**without, "maps": {"grad_cam": maps["grad_cam"]}})
    assert "The network has no attention head." in again(copy).text
    nothing = {key: {"mean": None, "sd": None, "n": 0} for key in ("iou", "iou_null", "spearman", "spearman_null")}
    write_record(copy.overlap, {**without, "maps": {"attention_8": {"positions": [8, 8], **nothing}}})
    assert "8 × 8 positions, 0 pairs – – – –" in again(copy).text


def test_summary_holds_means_distance_and_shares(run: Callable[..., Report]) -> None:
    at, page, log = run({"lambda_s": 0.44})
    summary, curve = read_json(at.metrics), read_record(at.fid)
    last = read_csv(at.train_curve)[-1]
    scores = read_record(at.evaluation)["tuned"]
    distance = 0.6 * curve["values"][4] + 0.4 * curve["values"][5]
    assert summary == {
        "clean": scores["clean"]["mean"],
        "C": scores["C"]["mean"],
        "C_bar": scores["C_bar"]["mean"],
        "fd_efficientnet_lite0_112": pytest.approx(distance),
        **{name: pytest.approx(float(last[name])) for name in last if name.startswith("share_")},
    }
    assert f"{distance:.4g}" in page.text
    assert log.final == summary
    assert ("index.html", "report") in log.files and ("frechet.png", "report") in log.files


def test_a_schedule_is_told_and_its_last_value_is_the_place_on_the_curve(run: Callable[..., Report]) -> None:
    policy = {"lambda": {0: 0.5, 2: 0.25}, "lambda_s": {0: 0.1, 3: 0.2, 5: 0.4}, "train.epochs": 8}
    at, page, _ = run(policy)
    summary, curve = read_json(at.metrics), read_record(at.fid)
    assert summary["fd_efficientnet_lite0_112"] == pytest.approx(curve["values"][4])
    last = float(read_csv(at.train_curve)[-1]["share_stylised_s"])
    assert summary["share_stylised_s"] == pytest.approx(last) and abs(last - 0.4) < 0.03
    text = page.text.replace(THIN, " ")
    assert "50 % (25 % from epoch 2) of each batch synthetic" in text
    assert "= 0.4 in the last epoch" in text and "10 % (20 % from epoch 3, 40 % from epoch 5)" in text
    card = (at.out / "model_card.md").read_text()
    assert "at lambda_s = 0.4 in the last epoch" in card and "of the images shown in the last epoch." in card


def test_synthetic_images_only_at_first(run: Callable[..., Report]) -> None:
    at, page, _ = run({"lambda": {0: 0.5, 2: 0.0}, "train.epochs": 4})
    assert "fd_efficientnet_lite0_112" in read_json(at.metrics) and "was shown no synthetic images" not in page.text
    assert "Synthetic: none" not in (at.out / "model_card.md").read_text()


def test_without_synthetic_images_there_is_no_distance(run: Callable[..., Report]) -> None:
    at, page, _ = run({"lambda": 0.0, "lambda_o": 0.0, "finetune.stages": [], "style.method": "colour"}, synthetic=0)
    shares = {"share_synthetic", "share_stylised_o", "share_stylised_s"}
    assert set(read_json(at.metrics)) == {"clean", "C", "C_bar"} | shares
    assert "no synthetic images, none of them stylised" in page.text and "Fréchet" not in page.text
    assert not (at.out / "frechet.png").exists()
    assert "fine-tuned" not in page.text.split("What the numbers mean")[0]


def test_unused_synthetic_images_do_not_speak_for_the_run(run: Callable[..., Report]) -> None:
    at, page, _ = run({"lambda": 0.0})
    assert not [name for name in read_json(at.metrics) if name.startswith("fd_")]
    assert "that there would have been" in page.text and "50 % of synthetic" not in page.text


def test_several_seeds_have_means_and_t_intervals(run: Callable[..., Report]) -> None:
    at, page, _ = run(seeds=(3, 1, 2))
    scores, summary = read_record(at.evaluation)["tuned"], read_json(at.metrics)
    clean = [one["clean"] for one in scores["seeds"].values()]
    assert summary["clean"] == pytest.approx(np.mean(clean))
    half = 4.302653 * np.std(clean, ddof=1) / np.sqrt(3)  # Student's t, 2 degrees of freedom, 97.5 %
    low, high = np.mean(clean) - half, np.mean(clean) + half
    assert f"{100 * low:.1f} to {100 * high:.1f}{THIN}%" in page.text
    assert "means over 3 seeds" in page.text and "Student t" in page.text and "bootstrap" not in page.text
    rows = [row for row in read_csv(at.corruptions) if (row["corruption"], row["severity"]) == ("fog", "2")]
    mean = np.mean([int(row["correct"]) / 10 for row in rows if row["model"].startswith("tuned")])
    assert heat(page, "fog")[1] == f"{mean:.1f}"
    curve = read_csv(at.train_curve)
    last = [float(row["share_synthetic"]) for row in curve if row["epoch"] == curve[-1]["epoch"]]
    assert summary["share_synthetic"] == pytest.approx(np.mean(last))


def test_names_of_classes_are_text_and_not_markup(run: Callable[..., Report]) -> None:
    names = ("<b>bold</b>", 'a & "b"', "Bäume | 木", "</style><script>x", "*star*")
    at, page, _ = run({"dataset.name": "folder", "dataset.root": "/data/<i>it & us"}, classes=names)
    text = re.sub(r"\s+", " ", page.text)
    assert all(name in text for name in names)
    assert "<script" not in (at.out / "index.html").read_text() and "<i>it & us, clean and corrupted" in text
    card = (at.out / "model_card.md").read_text()
    assert r"\<b\>bold\</b\>" in card and r"Bäume \| 木" in card and r"\*star\*" in card


def test_many_classes_begin_with_the_worst(run: Callable[..., Report]) -> None:
    at, page, _ = run(classes=tuple(f"class-{index:02d}" for index in range(25)))
    recall = read_record(at.evaluation)["tuned"]["seeds"]["0"]["recall"]
    shown = re.findall(r"(class-\d\d) \d", page.text.split("Class by class")[1].split(" images precision ")[0])
    assert [recall[name] for name in shown] == sorted(recall.values()) and "other 5 classes" in page.text


def test_same_run_gives_the_same_bytes(default: Report) -> None:
    at, _, _ = default
    first = {path.name: path.read_bytes() for path in at.out.iterdir()}
    report(**vars(at))
    assert first == {path.name: path.read_bytes() for path in at.out.iterdir()}


def test_card_opens_with_metadata_that_a_hub_can_read(default: Report) -> None:
    at, _, _ = default
    _, head, body = (at.out / "model_card.md").read_text().split("---\n", 2)
    facts = YAML(typ="safe").load(head)
    measured = {one["name"]: one["value"] for one in facts["model-index"][0]["results"][0]["metrics"]}
    scores = read_record(at.evaluation)["tuned"]
    assert measured == {name: scores[name]["mean"] for name in ("clean", "C")}
    table = [line for line in body.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(scores) - 1 and {line.count("|") for line in table} == {4}


def test_a_missing_picture_is_left_out(default: Report, copy: SimpleNamespace) -> None:
    (copy.pictures / "corrupted.png").unlink()
    assert len(again(copy).resources) == len(default[1].resources) - 1


def test_a_missing_metric_is_an_error_in_one_line(copy: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    copy.fid.unlink()
    with pytest.raises(typer.Exit):
        again(copy)
    assert "fid.json does not exist" in capsys.readouterr().err


def test_official_corruptions_are_named(default: Report, copy: SimpleNamespace) -> None:
    assert "severity constants of CIFAR-10-C" in default[1].text
    write_record(copy.evaluation, {**read_record(copy.evaluation), "source": "CIFAR-10-C, official files"})
    assert "The corrupted images: CIFAR-10-C, official files." in again(copy).text
