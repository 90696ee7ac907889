from pathlib import Path

import pytest

from snnet.errors import TableError
from snnet.recipes.paper import TIMM_MODELS, published_table, write_chart
from snnet.recipes.paper.chart import model_groups, read_models, stitches_as_bubbles
from snnet.table import StitchRow, StitchTable


def test_the_published_tables_are_those_of_the_reference(reference_dir: Path) -> None:
    for name in ("deit_ti_s_b", "swin_ti_s_b"):
        reference, ours = StitchTable.load(reference_dir / f"{name}.json"), published_table(name)
        assert [(r.stitch, r.macs, r.params, r.top1) for r in ours] == [
            (r.stitch, r.macs, r.params, r.top1) for r in reference
        ]
        assert ours.meta["anchors"] == reference.meta["anchors"]


def test_the_models_are_those_of_the_reference(reference_dir: Path) -> None:
    assert read_models() == read_models(reference_dir / "timm_imagenet.csv")
    assert TIMM_MODELS.stat().st_size < 100_000


def test_models_are_grouped_by_the_first_word_of_their_names() -> None:
    models = read_models()
    groups = model_groups(models)
    assert len(groups) == 8 and groups[-1].label == "other models"
    assert sum(len(group.bubbles) for group in groups) == len(models)
    for group in groups[:-1]:
        assert all(model.name.removeprefix("tf_").startswith(group.label) for model in group.bubbles)
        assert len(group.bubbles) > 20
    of = {model.name: group.label for group in groups for model in group.bubbles}
    assert of["tf_efficientnetv2_s.in21k_ft_in1k"] == of["efficientnet_b0.ra_in1k"] == "efficientnet"


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "models.csv"
    path.write_text("model,img_size,top1,params_m,gmacs\nmine,224,80,-3,1\n")
    with pytest.raises(TableError, match="model 'mine' needs positive numbers"):
        read_models(path)
    path.write_text("model,top1\nmine,80\n")
    with pytest.raises(TableError, match="lacks the columns img_size, params_m, gmacs; it has model, top1"):
        read_models(path)
    with pytest.raises(TableError, match="no stitch with macs, params and top1"):
        stitches_as_bubbles(StitchTable([StitchRow(0, "0:0-4", {"macs": 3})]))
    with pytest.raises(TableError, match="no stitch"):
        write_chart({"empty": StitchTable([])}, tmp_path)
