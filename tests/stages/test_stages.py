"""Every stage, called as the pipeline calls it, on a tiny image folder: what it writes and what it refuses."""

from __future__ import annotations

import hashlib
import re
import shutil
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
import yaml
from safetensors.torch import save_file

from furnished import SMALL, furnish
from impasto.config.model import Model
from impasto.data.images import Images, to_unit
from impasto.io import read_csv, read_json, read_npy, read_record
from impasto.models.registry import build
from impasto.models.saved import load_model, save_model
from impasto.precision import autocast
from tiny import ROOT, change

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def call(stage: str) -> None:
    """Run a stage with the command line of dvc.yaml."""
    words = re.findall(r"--([\w-]+) ([\w/.]+)", PIPELINE[stage]["cmd"])
    command = getattr(import_module(f"impasto.stages.{stage}"), stage)
    command(**{name.replace("-", "_"): Path(value) for name, value in words})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Path:
    """A working folder with parameters and 2 x 120 pictures."""
    root = tmp_path_factory.mktemp("stages")
    furnish(root, SMALL)
    shutil.copy(template, root / "mlflow.db")
    return root


@pytest.fixture(autouse=True)
def inside(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("DVC_ROOT", str(home))
    monkeypatch.setenv("IMPASTO_LOG_MODEL", "never")


def test_a_stage_without_its_input_says_what_is_missing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        call("split")
    assert caught.value.exit_code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "data/raw/train does not exist" in said and "dvc repro" in said


def test_check_and_download_and_split(home: Path) -> None:
    for stage in ("check", "download", "split"):
        call(stage)
    train, test = Images.load(Path("data/raw/train")), Images.load(Path("data/raw/test"))
    assert (len(train), len(test)) == (180, 60) and train.classes == ("disc", "square")
    rows = [read_npy(Path(f"data/split/{name}.npy")) for name in ("train", "validation")]
    assert sorted(np.concatenate(rows)) == list(range(180))
    assert np.bincount(train.labels[rows[1]]).tolist() == [22, 22]


def test_generate_and_select(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.synthetic.scorer._STEPS", 70)  # discs and squares are soon told apart
    call("generate")
    pool = Images.load(Path("data/pool"))
    assert len(pool) == 160 and pool.counts() == {"disc": 80, "square": 80}
    assert "EDM" in pool.source and Path("pictures/samples.png").stat().st_size > 1000
    call("select")
    index, scores = read_npy(Path("data/synthetic/index.npy")), read_npy(Path("data/synthetic/scores.npy"))
    assert len(set(index.tolist())) == 120 == len(scores)
    assert np.bincount(pool.labels[index]).tolist() == [60, 60]
    manifest = read_json(Path("data/synthetic/manifest.json"))
    assert manifest["index_sha256"] == sha256(Path("data/synthetic/index.npy").read_bytes()).hexdigest()
    assert manifest["pool_digest"] == read_json(Path("data/pool/meta.json"))["digest"]
    assert manifest["agreement"]["images"] == 160 and "coverage" not in manifest
    assert not list(Path(".resume").glob("generate*"))


@pytest.mark.slow
def test_an_npz_pool_is_held_against_the_classes(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its labels are numbers: exchanged ones are refused, also where nothing is scored; coverage moves the index."""
    monkeypatch.setattr("impasto.synthetic.scorer._STEPS", 70)
    furnish(tmp_path, SMALL)
    shutil.copy(template, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for stage in ("check", "download", "split"):
        call(stage)
    train, manifest = Images.load(Path("data/raw/train")), Path("data/synthetic/manifest.json")
    found = []
    for coverage in (0.0, 0.5):
        change(Path("params.yaml"), synthetic__source="npz", synthetic__root="pool.npz", synthetic__coverage=coverage)
        change(Path("params.yaml"), synthetic__keep=1.0)
        np.savez("pool.npz", image=train.pixels.transpose(0, 2, 3, 1), label=train.labels)
        call("generate")
        call("select")
        told, index = read_json(manifest), read_npy(Path("data/synthetic/index.npy"))
        assert told["agreement"]["images"] == 180 and told["agreement"]["overall"] > 0.9
        assert told["scored"] is (coverage > 0) and np.bincount(train.labels[index]).tolist() == [60, 60]
        found.append(set(index.tolist()))
        np.savez("pool.npz", image=train.pixels.transpose(0, 2, 3, 1), label=1 - train.labels)
        call("generate")
        with pytest.raises(typer.Exit):
            call("select")
        said = capsys.readouterr().err
        assert "those labelled 'disc' (label 0) for 'square' (label 1)" in said and said.count("error") == 1
    assert 60 <= len(found[0] & found[1]) < 120
    assert told["coverage"]["disc"]["by_coverage"] == 30
    assert told["coverage"]["disc"]["radius"] <= told["coverage"]["disc"]["radius_drawn"]


def test_style_and_fid(home: Path) -> None:
    call("style")
    assert read_json(Path("models/style/meta.json"))["styles"] == 6
    call("fid")
    found = read_record(Path("metrics/fid.json"))
    assert found["points"] == [0.0, 0.5, 1.0] and found["n"] == 120 and all(v > 0 for v in found["values"])
    assert [float(row["distance"]) for row in read_csv(Path("metrics/fid.csv"))] == found["values"]
    row = read_record(Path("metrics/fid_row.json"))
    assert [row[point] for point in ("0.0", "0.5", "1.0")] == found["values"] and row["dataset"] == "folder"
    validation = len(read_npy(Path("data/split/validation.npy")))
    assert (row["original"], row["original_n"]) == (None, validation) and validation < 113


def test_train_and_finetune(home: Path) -> None:
    call("train")
    call("finetune")
    curve = read_csv(Path("metrics/train.csv"))
    assert [(row["seed"], row["epoch"]) for row in curve] == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
    assert all(float(row["share_synthetic"]) == pytest.approx(0.25, abs=0.01) for row in curve)
    weights = {path.parent: path.read_bytes() for path in Path("models").glob("*/*/model.safetensors")}
    assert len(set(weights.values())) == 4, "two seeds, trained and tuned, are four different models"
    assert not list(Path(".resume").glob("train*")), "forgotten once the next stage has started"


def test_explain(home: Path) -> None:
    """The lowest seed's tuned model speaks; the tables name test images, and every twin is of its own image."""
    call("explain")
    test, found = Images.load(Path("data/raw/test")), read_record(Path("metrics/overlap.json"))
    model = load_model(Path("models/tuned/0"), torch.device("cpu"))[0]
    with torch.inference_mode(), autocast("auto", torch.device("cpu")):  # as in evaluate
        chance = model(to_unit(torch.from_numpy(np.array(test.pixels)))).double().softmax(1).numpy()
    listed = read_csv(Path("data/explain/easy_hard.csv"))
    assert len({row["image"] for row in listed}) == len(listed) and {row["kind"] for row in listed} == {"easy", "hard"}
    for label, name in enumerate(test.classes):
        own, truth = np.flatnonzero(test.labels == label), chance[:, label]
        hard = [int(row["image"]) for row in listed if (row["class"], row["kind"]) == (name, "hard")]
        assert hard == sorted(own, key=lambda row: truth[row])[:3]
        for row in (row for row in listed if row["class"] == name):
            assert float(row["confidence"]) == pytest.approx(truth[int(row["image"])], rel=1e-4)
            assert row["file"] == test.name(int(row["image"])) and row["file"].startswith(f"{name}/")
            assert row["answer"] == test.classes[chance[int(row["image"])].argmax()]
    rows = read_csv(Path("data/explain/overlap.csv"))
    assert len({row["image"] for row in rows}) == len(rows) == found["n"] == 20 and found["seed"] == 0
    assert list(found["maps"]) == ["grad_cam"] and found["share"] == 0.2
    for measure in ("iou", "spearman", "iou_null", "spearman_null"):
        values = [float(row[measure]) for row in rows if row[measure]]
        one = found["maps"]["grad_cam"][measure]
        assert one["n"] == len(values) > 1 and one["mean"] == pytest.approx(np.mean(values), rel=1e-4)
        assert one["sd"] == pytest.approx(np.std(values, ddof=1), rel=1e-4)
    sizes = [Path(f"pictures/{name}.png").stat().st_size for name in ("maps", "easy_hard")]
    assert min(sizes) > 3000


def test_evaluate_and_report(home: Path) -> None:
    call("evaluate")
    scores = read_record(Path("metrics/evaluate.json"))
    table = [row for row in read_csv(Path("metrics/corruptions.csv")) if row["model"] == "tuned-1"]
    assert len(table) == 1 + 2 * 2 and all(int(row["n"]) == 60 for row in table)
    corrupted = [int(row["correct"]) / 60 for row in table if row["corruption"] != "clean"]
    assert scores["tuned"]["seeds"]["1"]["C"] == pytest.approx(np.mean(corrupted))
    predicted = read_npy(Path("data/predictions/tuned-1.npy"))
    test = Images.load(Path("data/raw/test"))
    for row in read_csv(Path("data/explain/easy_hard.csv")):  # of the first seed, whose answers are these
        answer = read_npy(Path("data/predictions/tuned-0.npy"))[0][int(row["image"])]
        assert row["answer"] == test.classes[answer]
    assert (predicted[0] == test.labels).mean() == scores["tuned"]["seeds"]["1"]["clean"]
    for who in ("base-0", "base-1", "tuned-0", "tuned-1"):
        model = load_model(Path("models") / who.replace("-", "/"), torch.device("cpu"))[0]
        with torch.inference_mode(), autocast("auto", torch.device("cpu")):  # the stage's: near ties depend on it
            answer = model(to_unit(torch.from_numpy(np.array(test.pixels)))).float().argmax(1).numpy()
        assert np.array_equal(read_npy(Path(f"data/predictions/{who}.npy"))[0], answer), "each model speaks for itself"
    assert "mCE" not in scores["tuned"]
    rows = {row["class"]: row for row in read_csv(Path("metrics/classes.csv")) if row["model"] == "tuned-1"}
    assert float(rows["macro"]["recall"]) == pytest.approx(scores["tuned"]["seeds"]["1"]["balanced"])
    assert list(rows)[: len(test.classes)] == list(test.classes)
    for name, recall in scores["tuned"]["seeds"]["1"]["recall"].items():
        assert float(rows[name]["recall"]) == pytest.approx(recall)
        assert sum(int(rows[name][f"as {other}"]) for other in test.classes) == int(rows[name]["n"])
    call("report")
    summary = read_json(Path("metrics/summary.json"))
    assert summary["clean"] == pytest.approx(scores["tuned"]["clean"]["mean"])
    page = Path("report/index.html").read_text()
    assert len(page) > 20_000 and "Where it looks" in page and "the hardest test images" in page


@pytest.fixture
def copy(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stages above have made, to change it."""
    for name in ("pictures_of", "src"):
        (tmp_path / name).symlink_to(home / name)
    for folder in ("data", "models"):
        shutil.copytree(home / folder, tmp_path / folder)
    for name in ("params.yaml", "dvc.yaml", "mlflow.db"):
        shutil.copy(home / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("copy")
def test_the_file_of_pretrained_weights_is_kept_with_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC does not watch it, so the model says which one it was; a model without one says nothing."""
    assert "weights_sha256" not in read_json(Path("models/base/0/model.json"))
    leaves = {leaf: None for leaf in Model.model_fields if leaf != "name"} | {"normalise": True}
    model = {"name": "timm", "timm": "test_vit", "weights": "~/vit.safetensors"}
    monkeypatch.setenv("HOME", str(Path.cwd()))
    config = Model.model_validate(leaves | model | {"weights": None})
    tensors = build(config, 2, [0.5] * 3, [0.5] * 3, seed=5).get_submodule("timm.network").state_dict()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, "vit.safetensors")
    change(Path("params.yaml"), **{f"model__{k}": v for k, v in (leaves | model).items()}, seeds=[0], train__epochs=1)
    call("train")
    told = read_json(Path("models/base/0/model.json"))["weights_sha256"]
    assert told == hashlib.sha256(Path("vit.safetensors").read_bytes()).hexdigest()


@pytest.mark.usefixtures("copy")
def test_a_network_without_maps_is_explained_without_them() -> None:
    """Tokens that Grad-CAM does not know: easy and hard images, no overlap, a picture of images and twins alone."""
    leaves = {leaf: None for leaf in Model.model_fields if leaf != "name"} | {"normalise": True}
    config = Model.model_validate(leaves | {"name": "timm", "timm": "test_vit_relpos"})
    for seed in (0, 1):
        made = build(config, 2, [0.5] * 3, [0.5] * 3, seed)
        save_model(Path(f"models/tuned/{seed}"), made, config, ("disc", "square"))
    call("explain")
    assert read_record(Path("metrics/overlap.json"))["maps"] == {} and read_csv(Path("data/explain/overlap.csv")) == []
    assert len(read_csv(Path("data/explain/easy_hard.csv"))) >= 6 and Path("pictures/maps.png").exists()


@pytest.mark.usefixtures("copy")
def test_no_synthetic_images() -> None:
    """Source none: an empty pool, an empty subset and an empty curve; lambda above 0 is refused, lambda 0 trains."""
    text = Path("params.yaml").read_text().replace("source: generator", "source: none")
    Path("params.yaml").write_text(text)
    for stage in ("generate", "select", "fid"):
        call(stage)
    assert read_record(Path("metrics/fid.json")) == {"points": [], "values": []}
    assert read_record(Path("metrics/fid_row.json")) == {}
    for refused in ("check", "train"):
        with pytest.raises(typer.Exit):
            call(refused)
    Path("params.yaml").write_text(text.replace("lambda: 0.25", "lambda: 0.0").replace("seeds: [0, 1]", "seeds: [0]"))
    call("train")
    assert {row["share_synthetic"] for row in read_csv(Path("metrics/train.csv"))} == {"0.0"}


def test_a_reference_gives_mce(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against itself the first model has an mCE of 1; the others have their own."""
    monkeypatch.chdir(home)
    shutil.copy("metrics/corruptions.csv", "reference.csv")
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("reference: null", "reference: reference.csv"))
    try:
        call("evaluate")
    finally:
        Path("params.yaml").write_text(text)
    scores = read_record(Path("metrics/evaluate.json"))
    assert scores["base"]["seeds"]["0"]["mCE"] == pytest.approx(1)
    assert scores["tuned"]["seeds"]["1"]["mCE"] != scores["base"]["seeds"]["0"]["mCE"]
