"""`evaluate`, `profile` and `report`, one after another on one network."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snnet import StitchTable
from snnet.table import frontier_gain
from tests.cli.conftest import Run
from tests.data.image_files import write_split
from tests.helpers.dense import dense_net


@pytest.fixture
def scored(run: Run, saved: Path) -> Path:
    assert run("evaluate", saved, "--stitches", "0 1 2 3", "--batch-size", "1000").code == 0
    return saved


def test_evaluate_writes_the_table_beside_the_network(scored: Path) -> None:
    table = StitchTable.load(scored / "table.jsonl")
    assert len(table) == 23 and len([row for row in table if "top1" in row.values]) == 4
    assert table[0].get("macs") and table[0].get("top5")


def test_the_gain_over_the_anchors_is_told_first(run: Run, scored: Path, tmp_path: Path) -> None:
    outcome = run("evaluate", scored, "--stitches", "0 3", "--batch-size", "1000")
    gain = str(frontier_gain(StitchTable.load(scored / "table.jsonl")))
    assert gain.startswith("Gain over keeping the anchors: ")
    # Those of all stitches evaluated so far, also where the anchors were not asked for this time.
    assert [line for line in outcome.out.splitlines() if line.startswith("Gain")] == [gain]
    assert run("report", scored, "--output", tmp_path / "page").out.splitlines()[0] == gain
    text = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert f'<p id="gain">{gain}</p>' in text


def test_scores_without_hits_have_no_gain_and_it_is_said(run: Run, scored: Path, tmp_path: Path) -> None:
    (scored / "table.hits.safetensors").unlink()
    outcome = run("evaluate", scored, "--stitches", "0 1 2 3", "--batch-size", "1000")
    assert "No gain over the anchors: these scores are without hits" in outcome.err and "Gain" not in outcome.out
    assert "Gain" not in run("report", scored, "--output", tmp_path / "page").out
    assert '<p id="gain"></p>' in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


def test_evaluate_again_takes_what_is_there(run: Run, scored: Path) -> None:
    outcome = run("evaluate", scored, "--stitches", "anchors", "--batch-size", "1000", "--json")
    assert "3 of 3 stitches were evaluated before" in outcome.err
    assert [row["index"] for row in json.loads(outcome.out)["stitches"]] == [0, 1, 2]


def test_evaluate_on_shards_sees_each_image_once_and_goes_on(run: Run, saved: Path, tmp_path: Path) -> None:
    pytest.importorskip("webdataset", reason="the package webdataset is not installed")
    from tests.data.shard_files import replace_sample, write_shards

    path = write_shards(tmp_path / "pets", [5, 4], "val")[0]
    replace_sample(path, 2, {"jpg": b"a text in place of an image", "cls": 0}, 5)
    tokens = ("evaluate", saved, "--data", "wds/pets", "--root", tmp_path / "pets", "--batch-size", "4")
    outcome = run(*tokens, "--stitches", "0 1")
    assert outcome.code == 0, outcome.err
    assert "2 stitches on 8 images" in outcome.out
    outcome = run(*tokens, "--stitches", "anchors")
    assert outcome.code == 0 and "2 of 3 stitches were evaluated before" in outcome.err
    outcome = run(*tokens, "--stitches", "5", "--max-corrupt", "0")
    assert outcome.code == 2 and f"more than --max-corrupt 0: {path}:s0002" in outcome.err


def test_profile_of_the_frontier(run: Run, scored: Path) -> None:
    tokens = ("--stitches", "frontier", "--batch-sizes", "1", "2", "--repeats", "1", "--warmup", "0")
    outcome = run("profile", scored, *tokens)
    assert outcome.code == 0
    table = StitchTable.load(scored / "table.jsonl")
    assert "latency_ms@2" in table.columns and "top1" in table.columns


def test_a_profile_alone_is_enough_to_choose(run: Run, scored: Path, tmp_path: Path) -> None:
    file = tmp_path / "laptop.jsonl"
    tokens = ("--stitches", "0 1 2 3", "--batch-sizes", "1", "2", "--repeats", "1", "--warmup", "0", "--threads", "1")
    outcome = run("profile", scored, *tokens, "--output", file)
    assert outcome.code == 0, outcome.err
    assert "cores: eager on cpu, fp32, 1 thread" in outcome.out and "Memory is computed" in outcome.out
    # Without torch, and without the network.
    choose = "import sys; from snnet.cli import main; code = main(sys.argv[1:]); assert 'torch' not in sys.modules"
    limits = ("--latency-ms", "1e6", "--memory-mb", "1e6", "--batch", "2", "--json")
    found = subprocess.run(
        [sys.executable, "-c", f"{choose}; sys.exit(code)", "select", str(file), *limits],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    table = StitchTable.load(file)
    best = max(
        (row for row in table if row.get("latency_ms@2")), key=lambda row: (row.top1, -row.values["latency_ms@2"])
    )
    assert json.loads(found.stdout)["stitch"] == best.stitch
    assert json.loads(found.stdout)["profile"]["engine"] == "eager"
    assert "measured at batch 1, 2" in run("select", file, "--latency-ms", "1e6", "--batch", "4").err
    assert run("select", file, "--latency-ms", "1e-9", "--batch", "2").code == 3


def test_a_profile_grows_by_another_batch_size(run: Run, scored: Path, tmp_path: Path) -> None:
    file = tmp_path / "laptop.jsonl"
    for batch in ("1", "2"):
        tokens = ("--stitches", "anchors", "--warmup", "0", "--repeats", "1", "--threads", "1", "--batch-sizes", batch)
        assert run("profile", scored, *tokens, "--output", file).code == 0
    assert {"latency_ms", "latency_ms@2"} <= set(StitchTable.load(file).columns)


def test_unreliable_latencies_are_marked_and_a_choice_by_them_warns(
    run: Run, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def summarize(times: Sequence[float], batch: int) -> dict[str, float]:
        return {"latency_ms": 400.0, "latency_ms_low": 25.0, "latency_ms_high": 1587.0, "throughput": 2.5}

    for module in ("bench", "measure"):
        monkeypatch.setattr(f"snnet.profiling.{module}.summarize", summarize)
    tokens = ("--stitches", "0 1", "--repeats", "1", "--warmup", "0", "--again", "1")
    outcome = run("profile", scored, *tokens, "--output", tmp_path / "busy.jsonl")
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("400.000 ? (25.000 to 1587.000)") == 2
    assert "latency_ms of 2 stitches is unreliable (?), such as 0:0-4: between 25 and 1587 ms." in outcome.err
    outcome = run("select", tmp_path / "busy.jsonl", "--latency-ms", "500", "--json")
    assert outcome.code == 0 and json.loads(outcome.out)["latency_ms"] == 400.0
    assert "Warning: The choice depends on latency_ms, which is unreliable for" in outcome.err
    assert "MeasurementWarning" not in outcome.err
    assert not run("select", tmp_path / "busy.jsonl", "--macs", "1G", "--json").err


def test_a_profile_of_another_machine_asks_for_force(run: Run, scored: Path, tmp_path: Path) -> None:
    table = StitchTable.load(scored / "table.jsonl").with_column("latency_ms", {"0:0-4": 1.0, "1:0-4": 2.0})
    facts = {"machine": {"cpu": "Elsewhere 1", "cores": 96}, "precision": "fp32", "network_precision": "fp32"}
    file = StitchTable(table.rows, {**table.meta, "profile": facts}).save(tmp_path / "there.jsonl")
    outcome = run("select", file, "--latency-ms", "5")
    assert (
        outcome.code == 2 and "(Elsewhere 1, 96 cores) than this one" in outcome.err and "--any-machine" in outcome.err
    )
    assert run("select", file, "--macs", "1G").code == 0
    forced = run("select", file, "--latency-ms", "5", "--any-machine")
    assert forced.code == 0 and "measured on Elsewhere 1, 96 cores" in forced.out


def test_profile_by_blocks_says_what_it_is_worth(run: Run, scored: Path) -> None:
    outcome = run("profile", scored, "--blocks", "--repeats", "2", "--warmup", "0")
    assert outcome.code == 0, outcome.err
    assert "measured stitches off by" in outcome.out and "No energy: measured on whole stitches only" in outcome.err
    table = StitchTable.load(scored / "table.jsonl")
    assert table.meta["profile"]["prediction"]["1"]["checked_on"] == 3
    whole = [row.stitch for row in table if "latency_ms_error" not in row.values]
    measured = run("select", scored, "--prefer", "latency_ms", "--measured", "--json")
    assert json.loads(measured.out)["stitch"] in whole and len(whole) == 6
    few = run("profile", scored, "--blocks", "--stitches", "anchors")
    assert few.code == 2 and "Of 3 stitches none is left to predict" in few.err


def test_report_writes_picture_and_page(run: Run, scored: Path, tmp_path: Path) -> None:
    outcome = run("report", scored, "--output", tmp_path / "report", "--before", scored / "table.jsonl")
    assert outcome.code == 0
    for name in ("curve.png", "curve.svg", "index.html"):
        assert str(tmp_path / "report" / name) in outcome.out
        assert (tmp_path / "report" / name).stat().st_size > 0


def test_bad_input(run: Run, saved: Path, tmp_path: Path) -> None:
    write_split(tmp_path / "pets" / "val", per_class=1)
    for tokens, words in (
        (("evaluate", tmp_path), "There is no network"),
        (("evaluate", saved, "--data", "folder", "--root", tmp_path / "pets"), "10"),
        (("evaluate", saved, "--data", "embeded"), "embedded"),
        (("evaluate", saved, "--stitches", "99"), "99"),
        (("profile", saved, "--stitches", "frontier"), "snnet evaluate"),
        (("profile", saved, "--batch-sizes", "1", 'unable to convert "x"'), "x"),
        (("profile", saved, "--engine", "egaer"), "Did you mean 'eager'"),
        (("report", saved, "--output", tmp_path / "report"), "snnet evaluate"),
    ):
        outcome = run(*tokens)
        assert outcome.code == 2, tokens
        assert words in outcome.err, tokens


def test_corrupt_weights_are_refused(run: Run, saved: Path) -> None:
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    outcome = run("evaluate", saved)
    assert outcome.code == 2 and "model.safetensors" in outcome.err


def test_predict_measures_a_few_and_says_what_the_rest_is_worth(run: Run, saved: Path) -> None:
    outcome = run("evaluate", saved, "--predict", "--error", "0", "--at-most", "4", "--batch-size", "1000")
    assert outcome.code == 0, outcome.err
    assert "4 stitches measured, 19 predicted" in outcome.out and "± top-1 %" in outcome.out
    assert "The stitch that would tell most next: " in outcome.out
    table = StitchTable.load(saved / "table.jsonl")
    predicted = [row.stitch for row in table if "top1_error" in row.values]
    assert len(predicted) == 19 and all("top1" in row.values for row in table)
    measured = run("select", saved, "--prefer", "top1", "--measured", "--json")
    assert json.loads(measured.out)["stitch"] not in predicted
    clash = run("evaluate", saved, "--predict", "--stitches", "anchors")
    assert clash.code == 2 and "give one of the two" in clash.err


def test_what_is_measured_in_bf16_stands_beside(run: Run, scored: Path) -> None:
    before = (scored / "table.jsonl").read_bytes()
    outcome = run("evaluate", scored, "--stitches", "0 1", "--batch-size", "1000", "--precision", "bf16")
    assert outcome.code == 0 and f"written to {scored / 'table.bf16.jsonl'}" in outcome.out.replace("\n", "")
    assert (scored / "table.jsonl").read_bytes() == before
    tokens = ("--stitches", "0 1", "--repeats", "1", "--warmup", "0")
    for precision in ((), ("--precision", "bf16")):
        assert run("profile", scored, *tokens, *precision).code == 0
    half = StitchTable.load(scored / "table.bf16.jsonl")
    assert {"top1", "macs", "latency_ms"} <= set(half.columns)
    assert half.meta["evaluation"]["precision"] == "fp32 with bf16" and half.meta["profile"]["precision"] == "bf16"
    assert StitchTable.load(scored / "table.jsonl").meta["profile"]["precision"] == "fp32"
    limits = ("--latency-ms", "1e9", "--prefer", "latency_ms", "--json")
    chosen = {
        name: json.loads(run("select", scored, *limits, *given).out)["stitch"]
        for name, given in {"own": (), "bf16": ("--precision", "bf16"), "any": ("--precision", "any")}.items()
    }
    own, other = (StitchTable.load(scored / name) for name in ("table.jsonl", "table.bf16.jsonl"))
    quickest = {
        name: min((row.latency_ms, row.stitch) for row in one if row.get("latency_ms"))
        for name, one in (("own", own), ("bf16", other))
    }
    assert chosen["own"] == quickest["own"][1] and chosen["bf16"] == quickest["bf16"][1]
    assert chosen["any"] == (
        quickest["own"][1] if min(quickest.values()) == quickest["own"] else f"{quickest['bf16'][1]}@bf16"
    )


def test_whole_pictures_with_their_masks(run: Run, tmp_path: Path) -> None:
    net, data = tmp_path / "net", tmp_path / "data"
    dense_net("segmentation").save_pretrained(net)
    for number, place in enumerate(("train", "val", "val", "train")):
        pair = data / place / "images", data / place / "masks"
        mask = np.random.default_rng(number).integers(0, 3, (40 + 10 * number, 50)).astype(np.uint8)
        for folder, pixels in zip(pair, (100 * mask, mask), strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    told = ("evaluate", net, "--data", "folder", "--root", data, "--target", "mask", "--stitches", "anchors")
    outcome = run(*told, "--windows", "slide")
    assert outcome.code == 0 and "on 2 images" in outcome.out
    table = StitchTable.load(net / "table.jsonl")
    assert table.score == "miou" and table.meta["evaluation"]["windows"] == "slide 0.666667"
    outcome = run(*told)
    assert outcome.code == 2 and "something else: other windows" in " ".join(outcome.err.split())
    outcome = run(*told[:-2], "--windows", "slide", "--predict", "--sample", "0")
    assert outcome.code == 2 and "--predict sees one crop of each picture, and windows are slide" in outcome.err
