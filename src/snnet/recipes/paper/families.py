"""The families of the paper, and the networks that it made of each."""

from snnet.recipes.paper.values import Claim, Family, PaperExperiment, Variant

DEIT = Family("DeiT", {"embedded": "paper_vit", "imagenet": "deit_ti_s_b"}, published="deit_ti_s_b")
SWIN = Family("Swin", {"embedded": "paper_swin", "imagenet": "swin_ti_s_b"}, published="swin_ti_s_b")
RESNET = Family("ResNet", {"embedded": "paper_cnn", "imagenet": "resnet_18_50"})
RESNET_SWIN = Family("ResNet and Swin", {"embedded": "paper_cnn_vit", "imagenet": "resnet_18_swin_ti"})
LEVIT = Family(
    "LeViT",
    {"embedded": "paper_levit", "imagenet": "levit_192_256"},
    anchors={"embedded": "paper_levit_anchors"},
)

FAMILIES = (DEIT, SWIN, RESNET, RESNET_SWIN, LEVIT)


def _one_network(name: str, family: Family, title: str, observation: str) -> PaperExperiment:
    label = "SN-Net"
    return PaperExperiment(
        name,
        title,
        observation,
        variants=(
            Variant(label, family),
            Variant("stitched, not trained", family, state="untrained"),
            Variant("anchors as they came", family, state="anchors"),
        ),
        claims=(
            Claim("rank", label, "above", 0.8),
            Claim("gap", label, "at least", 0.0, margin=1.5),
            Claim("mean", label, "above", "stitched, not trained"),
        ),
        published=family.published,
    )


NETWORKS = (
    _one_network(
        "deit",
        DEIT,
        "Stitches of three plain ViTs",
        "One network of 71 stitches interpolates the performance of DeiT-Ti, S and B smoothly: more MACs give more "
        "accuracy, and stitches lie about on the lines between the anchors.",
    ),
    _one_network(
        "swin",
        SWIN,
        "Stitches of three hierarchical ViTs",
        "Stitches of Swin-Ti, S and B fill the range between the anchors, as those of plain ViTs do.",
    ),
    _one_network(
        "resnet",
        RESNET,
        "Stitches of two CNNs",
        "Stitches of ResNet-18 and ResNet-50 lie between the two in accuracy and in cost.",
    ),
    _one_network(
        "resnet-swin",
        RESNET_SWIN,
        "A CNN that leads into a ViT",
        "Anchors of different architectures can be stitched, too: ResNet-18 into Swin-Ti.",
    ),
    _one_network(
        "levit",
        LEVIT,
        "Stitches of two LeViTs",
        "Stitches of LeViT-192 and LeViT-256 lie between the two in accuracy and in cost.",
    ),
)
