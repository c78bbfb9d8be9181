"""Networks have the published sizes, and each loss is what its formula says."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from anomaly.detectors import bn_wvad, detectors, gs_moe, mil_ranking, rtfm, ur_dmu
from anomaly.features import FeatureSpec
from anomaly.training.attention import distance_kernel
from anomaly.training.mil import balanced, paste, pasted_loss, roughness, segments_of, top_mean
from anomaly.training.sequence import class_weights, cross_entropy
from anomaly.video import PixelSpec

RECIPE = FeatureSpec(backbone="x", parameters={}, version=1, weights="", pixels=PixelSpec())


def build(name, **parameters):
    return detectors().get(name).build(parameters, {"features": RECIPE})


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("lstm", [70_305, 103_073, 135_841, 168_609]),
        ("gru", [52_961, 77_537, 102_113, 126_689]),
        ("lstm_gru", [76_641, 109_409, 142_177, 174_945]),
        ("rnn", [17_985, 26_177, 34_369, 42_561]),
        ("mlp", [164_417, 246_337, 328_257, 410_177]),
    ],
)
def test_the_five_heads_have_the_published_sizes(name, counts):
    assert [build(name).trainable(d) for d in (512, 768, 1024, 1280)] == counts


@pytest.mark.parametrize(
    ("name", "dimension", "count"),
    [
        ("bd_lstm", 1000, 12_494_850),
        ("mil_ranking", 4096, 2_114_113),
        ("mil_ranking", 2048, 1_065_537),
        ("mil_ranking", 1024, 541_249),
        ("rtfm", 2048, 24_718_849),
        ("bn_wvad", 1024, 5_791_905),
        ("ur_dmu", 1024, 6_492_929),
        ("ur_dmu", 2048, 8_065_793),
    ],
)
def test_networks_have_the_published_sizes(name, dimension, count):
    assert build(name).trainable(dimension) == count


def test_a_detector_without_a_network_learns_no_numbers_by_gradients():
    assert build("knn").trainable(512) is None


# ---- terms of losses, against loops over the formula -------------------------


def scores(seed, batch=4, length=9):
    return torch.rand(batch, length, generator=torch.Generator().manual_seed(seed)).double()


def test_ranking_sums_hinges_over_abnormal_videos_and_averages_over_normal_ones():
    normal, abnormal = scores(1, 3), scores(2, 5)
    slow = 0.0
    for n in normal:
        slow += sum(max(0.0, 1.0 - max(a).item() + max(n).item()) for a in abnormal)
    assert mil_ranking.ranking(normal, abnormal).item() == pytest.approx(slow / 3, abs=1e-6)


def test_roughness_sums_squared_steps_within_each_video():
    found = scores(3)
    slow = sum((v[t] - v[t + 1]).item() ** 2 for v in found for t in range(len(v) - 1))
    assert roughness(found).item() == pytest.approx(slow, abs=1e-6)


def test_the_whole_loss_of_mil_ranking_is_hinge_plus_sparse_plus_smooth():
    detector = build("mil_ranking")
    network = detector.make_network(6).eval()
    batch = seeded(8, 5, 6)
    s = torch.sigmoid(network.layers(batch)[..., 0]).detach()
    normal, abnormal = s[:4], s[4:]
    hinge = np.mean(
        [sum(max(0.0, 1 - a.max().item() + n.max().item()) for a in abnormal) for n in normal]
    )
    smooth = sum((v[t] - v[t + 1]).item() ** 2 for v in abnormal for t in range(4))
    expected = hinge + 8e-5 * abnormal.sum().item() + 8e-5 * smooth
    found = detector.loss(network, batch, torch.zeros(8)).item()
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_whole_loss_of_rtfm_follows_its_formula():
    detector = build("rtfm")
    network = detector.make_network(6).eval()
    batch = seeded(6, 20, 6)
    with torch.no_grad():
        features, logits = network(batch)
        found = detector.loss(network, batch, torch.zeros(6)).item()
    s = torch.sigmoid(logits)
    bce, lengths = 0.0, []
    for video in range(6):
        order = sorted(range(20), key=lambda t: -features[video, t].norm().item())[:2]
        p = np.mean([s[video, t].item() for t in order])
        bce -= math.log(1 - p if video < 3 else p) / 6
        lengths.append(torch.stack([features[video, t] for t in order]).mean(0).norm().item())
    pairs = zip(lengths[3:], lengths[:3], strict=True)
    margin = np.mean([(abs(100 - a) + n) ** 2 for a, n in pairs])
    abnormal = s[3:]
    smooth = sum((v[t] - v[t + 1]).item() ** 2 for v in abnormal for t in range(19))
    sparse = math.sqrt(sum(x.item() ** 2 for x in abnormal.flatten()))
    expected = bce + 1e-4 * margin + 8e-4 * smooth + 8e-3 * sparse
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_non_local_block_starts_as_the_identity():
    block = rtfm._NonLocal(8)
    rows = seeded(2, 8, 5)
    assert torch.equal(block(rows), rows)


def test_bn_wvad_measures_distance_in_running_deviations():
    norm = nn.BatchNorm1d(3).eval()
    norm.running_mean[:] = torch.tensor([1.0, 2.0, 3.0])
    norm.running_var[:] = torch.tensor([0.5, 2.0, 4.0])
    x = seeded(7, 3)
    slow = [
        math.sqrt(
            sum((x[i, c].item() - c - 1) ** 2 / ([0.5, 2.0, 4.0][c] + 1e-5) for c in range(3))
        )
        for i in range(7)
    ]
    assert bn_wvad.distance(x, norm).tolist() == pytest.approx(slow, rel=1e-6, abs=1e-6)


def test_bn_wvad_takes_the_farthest_of_each_video_and_of_all_together():
    found = torch.tensor([[9.0, 8, 7, 6, 5], [4, 3, 2, 1, 0]])
    chosen = bn_wvad.farthest(found, of_video=0.2, of_batch=0.4)
    assert chosen.tolist() == [[True] * 4 + [False], [True] + [False] * 4]


def test_the_whole_loss_of_bn_wvad_follows_its_formula():
    detector = build("bn_wvad", segments=10)
    network = detector.make_network(6).eval()
    batch = seeded(4, 10, 6)
    with torch.no_grad():
        levels, logits = network(batch)
        found = detector.loss(network, batch, torch.zeros(4)).item()
    s = torch.sigmoid(logits)
    expected = np.mean([math.sqrt(sum(x.item() ** 2 for x in s[v])) for v in range(2)])
    for level, norm, weight in zip(levels, network.norms, (5, 20), strict=True):
        deviation = torch.sqrt(norm.running_var + norm.eps)
        far = [
            [((v - norm.running_mean) / deviation).norm().item() for v in row] for row in level
        ]
        every = sorted(((far[v][t], v, t) for v in (2, 3) for t in range(10)), reverse=True)
        chosen = {(v, t) for _, v, t in every[: int(2 * 10 * 0.4)]}
        for v in (2, 3):
            best = sorted(range(10), key=lambda t: -far[v][t])[: int(10 * 0.2)]
            chosen |= {(v, t) for t in best}
        negatives = [far[v][t] for v, t in sorted(chosen)]
        each = len(negatives) // 2 + 1
        hard = [sorted(far[v], reverse=True)[:each] for v in (0, 1)]
        positives = [hard[v][k] for k in range(each) for v in (0, 1)][: len(negatives)]
        hinges = [max(0.0, 1 + p - n) for p, n in zip(positives, negatives, strict=True)]
        expected += weight * np.mean(hinges)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_score_of_bn_wvad_is_the_sum_of_distances_times_the_classifiers_word():
    network = build("bn_wvad").make_network(6).eval()
    batch = seeded(1, 4, 6)
    with torch.no_grad():
        (first, second), logits = network(batch)
        found = network.score(batch)[0]
    distances = bn_wvad.distance(first, network.first) + bn_wvad.distance(
        second, network.second
    )
    assert found.tolist() == pytest.approx((distances * torch.sigmoid(logits))[0].tolist())


def bce(probabilities, label):
    return np.mean([-math.log(p if label else 1 - p) for p in probabilities])


def top(row, count):
    return sorted(range(len(row)), key=lambda t: -row[t].item())[:count]


def test_the_whole_loss_of_ur_dmu_follows_its_formula():
    detector = build("ur_dmu", segments=32, memory=20)
    network = detector.make_network(6).eval()
    batch = seeded(4, 32, 6)
    with torch.no_grad():
        seen = network.recall(batch)
        logits, own, divergence = network.relive(seen)
        found = detector.loss(network, batch, torch.zeros(4)).item()
    count, s = 3, torch.sigmoid(logits)
    known_n, known_a = seen.known_normal_BT, seen.known_abnormal_BT
    highest = lambda row: np.mean([row[t].item() for t in top(row, count)])  # noqa: E731
    bags = np.mean([bce([highest(s[v])], v >= 2) for v in range(4)])
    memories = (
        bce([highest(known_a[v]) for v in (2, 3)], 1)
        + bce([highest(1 - known_n[v]) for v in (2, 3)], 1)
        + bce(known_n[:2].flatten().tolist(), 1)
        + bce(known_a[:2].flatten().tolist(), 0)
    )

    def mean_of(rows, by, v):
        return torch.stack([rows[v, t] for t in top(by[v], count)]).mean(0)

    triplets, margins = [], []
    for v in (0, 1):
        unit = [
            mean_of(seen.rows_BTH, by, w)
            for by, w in ((known_n, v), (known_n, v + 2), (known_a, v + 2))
        ]
        anchor, positive, negative = (x / x.norm() for x in unit)
        gap = (anchor - positive + 1e-6).norm() - (anchor - negative + 1e-6).norm()
        triplets.append(max(0.0, 1.0 + gap.item()))
        lengths = [mean_of(own, known_n, v).norm(), mean_of(own, known_a, v + 2).norm()]
        margins.append(max(0.0, 100 - lengths[1].item() + lengths[0].item()))
    mu, log_var = network.mean(seen.normal_BTH[:2]), network.log_variance(seen.normal_BTH[:2])
    kl = [
        0.5
        * sum((m**2 + math.exp(w) - 1 - w) for m, w in zip(a.tolist(), b.tolist(), strict=True))
        for a, b in zip(mu.flatten(0, 1), log_var.flatten(0, 1), strict=True)
    ]
    assert divergence.item() == pytest.approx(np.mean(kl), rel=1e-5)
    expected = bags + 0.1 * memories + 0.1 * np.mean(triplets) + 1e-3 * np.mean(kl)
    assert found == pytest.approx(expected + 1e-4 * np.mean(margins), rel=1e-5, abs=1e-6)


def test_a_memory_answers_by_sigmoids_of_scaled_products():
    memory = ur_dmu.Memory(20)
    rows = seeded(2, 3, 512)
    known, recalled = memory(rows)
    address = [
        1 / (1 + math.exp(-(rows[1, 2] @ m).item() / math.sqrt(512))) for m in memory.vectors_MH
    ]
    assert known[1, 2].item() == pytest.approx(np.mean(sorted(address)[-2:]), abs=1e-6)
    slow = sum(a * m for a, m in zip(address, memory.vectors_MH, strict=True))
    assert torch.allclose(recalled[1, 2], slow, atol=1e-5)


def test_the_kernel_over_time_falls_by_e_to_the_minus_distance_over_e():
    kernel = distance_kernel(5, torch.zeros(1))
    assert kernel.sum(dim=1).tolist() == pytest.approx([1.0] * 5)
    assert (kernel[2, 4] / kernel[2, 2]).item() == pytest.approx(math.exp(-2 / math.e))


def test_gaussians_stand_on_the_highest_peaks_and_reach_one():
    found = torch.tensor([[0.1, 0.8, 0.2, 0.1, 0.4, 0.1, 0.1, 0.1]])
    target = gs_moe.splat(found, peaks=2, width=1.0)[0]
    slow = [
        max(0.8 * math.exp(-((t - 1) ** 2) / 2), 0.4 * math.exp(-((t - 4) ** 2) / 2))
        for t in range(8)
    ]
    assert target.tolist() == pytest.approx([x / 0.8 for x in slow], abs=1e-6)


def test_an_expert_learns_from_normal_videos_and_its_own_category_only():
    experts = scores(5, 4, 9)[..., None].repeat(1, 1, 3) * torch.tensor([1.0, 0.9, 0.8])
    own = torch.tensor([0, 0, 2, 1])
    best = [
        [np.mean(sorted(experts[v, :, e].tolist())[-2:]) for e in range(3)] for v in range(4)
    ]
    calm = bce([best[v][e] for v in (0, 1) for e in range(3)], 0)
    expected = calm + bce([best[2][2], best[3][1]], 1)
    assert gs_moe.expert_loss(experts, own, 2).item() == pytest.approx(expected, abs=1e-6)


def test_classes_that_are_rare_weigh_more_in_cross_entropy():
    logits = seeded(3, 5, 4).double()
    labels = torch.tensor([[0, 0, 1, 0, 2], [0, 0, 0, 0, 0], [2, 1, 0, 0, 0]])
    weights = class_weights(labels.numpy(), 4).double()
    assert weights.tolist() == pytest.approx([15 / 3 / 11, 15 / 3 / 2, 15 / 3 / 2, 0.0])
    total = norm = 0.0
    for b in range(3):
        for t in range(5):
            k, row = labels[b, t].item(), logits[b, t]
            w = weights[k].item()
            total += w * (math.log(sum(math.exp(x) for x in row.tolist())) - row[k].item())
            norm += w
    found = cross_entropy(weights, lambda _rows: logits, torch.zeros(3, 5, 2), labels).item()
    assert found == pytest.approx(total / norm, abs=1e-6)


def test_one_output_is_the_logit_of_abnormal_and_only_the_rows_spoken_of_count():
    logits = seeded(3, 1, 1).double()
    labels = torch.tensor([[1, 1, 0], [0, 0, 1], [0, 0, 0]])
    weights = torch.tensor([0.75, 1.5], dtype=torch.float64)
    probabilities = torch.sigmoid(logits[:, 0, 0]).tolist()
    last = [0, 1, 0]
    w = [weights[k].item() for k in last]
    terms = [-math.log(p if k else 1 - p) for p, k in zip(probabilities, last, strict=True)]
    expected = sum(a * b for a, b in zip(w, terms, strict=True)) / sum(w)
    found = cross_entropy(weights, lambda _rows: logits, torch.zeros(3, 3, 2), labels).item()
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_score_of_a_softmax_ranks_as_one_minus_the_chance_of_normal():
    detector = build("bd_lstm", hidden=4, classes=3)
    network = detector.make_network(5).eval()
    rows = seeded(2, 15, 5)
    with torch.no_grad():
        p = torch.softmax(network(rows), dim=-1)
        odds = network.log_odds(rows)
    assert torch.allclose(torch.sigmoid(odds), 1 - p[..., 0], atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 40), seed=st.integers(0, 999))
def test_a_stretch_around_the_highest_score_is_pasted_in_order_and_labelled(length, seed):
    normal = torch.arange(4 * length).view(4, length, 1).float()
    abnormal = 1000 + normal
    found = torch.rand(4, length, generator=torch.Generator().manual_seed(seed))
    made, labels = paste(normal, abnormal, found)
    for video in range(4):
        where = torch.nonzero(labels[video])[:, 0].tolist()
        assert 1 <= len(where) <= max(1, length // 2)
        assert where == list(range(where[0], where[-1] + 1))
        pasted = (made[video, where, 0] - 1000 - length * video).tolist()
        assert pasted == list(range(int(pasted[0]), int(pasted[-1]) + 1))
        assert found[video].argmax().item() in pasted
        kept = ~labels[video]
        assert torch.equal(made[video, kept], normal[video, kept])


@pytest.mark.parametrize("name", ["mil_ranking", "rtfm", "bn_wvad", "ur_dmu", "gs_moe"])
def test_the_loss_on_made_up_videos_is_the_cross_entropy_of_their_segments(name):
    detector = build(name, segments=16, synthesis=0.5)
    network = detector.make_network(6)
    batch = seeded(4, 16, 6)
    torch.manual_seed(3)
    with torch.no_grad():
        found = pasted_loss(copy.deepcopy(network), batch).item()
    torch.manual_seed(3)
    with torch.no_grad():
        scored = network.eval().logits(batch[2:])
        made, labels = paste(batch[:2], batch[2:], scored)
        logits = network.train().logits(made)
    chances = torch.sigmoid(logits.double()).flatten().tolist()
    slow = np.mean([bce([p], x) for p, x in zip(chances, labels.flatten(), strict=True)])
    assert found == pytest.approx(slow, rel=1e-5, abs=1e-6)
    whole = detector._whole_loss(network.eval(), batch, torch.tensor([0, 0, 1, 1]))
    assert torch.isfinite(whole)


# ---- segments and batches ----------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(n_rows=st.integers(1, 90), segments=st.integers(1, 40), block_rows=st.integers(1, 30))
def test_segments_are_means_of_rows_however_they_are_read(n_rows, segments, block_rows):
    from anomaly.features import vector_block
    from anomaly.windows.bags import Bag, MemorySource

    values = np.random.default_rng(n_rows).normal(size=(n_rows, 3)).astype(np.float32)
    block = vector_block(np.arange(n_rows), np.arange(n_rows) / 10, values)
    bag = Bag("v", "c", {"x": MemorySource(block)})
    cut = n_rows // 3
    if cut > 1:
        bag = Bag("v", "c", {"x": MemorySource(block)}, ranges=((0, cut - 1), (cut, n_rows)))
        values = np.delete(values, cut - 1, axis=0)
    edges = np.linspace(0, len(values), segments + 1).astype(int)
    slow = [
        values[a:b].mean(axis=0) if b > a else values[min(a, len(values) - 1)]
        for a, b in pairwise(edges)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("anomaly.windows.bags.BLOCK_ROWS", block_rows)
        found = segments_of(bag, "x", segments)
    assert np.allclose(found, slow, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    normal=st.integers(1, 30),
    abnormal=st.integers(1, 30),
    batch=st.integers(2, 20),
    seed=st.integers(0, 99),
)
def test_batches_hold_as_many_normal_as_abnormal_videos_and_forget_none_of_the_larger_class(
    normal, abnormal, batch, seed
):
    classes = np.array([0] * normal + [3] * abnormal)
    batches = list(balanced(classes, batch)(np.random.default_rng(seed)))
    for chosen in batches:
        assert len(chosen) == batch // 2 * 2
        assert (classes[chosen] > 0).tolist() == [False] * (batch // 2) + [True] * (batch // 2)
    larger = np.flatnonzero(classes > 0) if abnormal >= normal else np.flatnonzero(classes == 0)
    assert set(larger) <= set(np.concatenate(batches))


def test_top_mean_averages_the_highest():
    assert top_mean(torch.tensor([[1.0, 5.0, 3.0]]), 2).tolist() == [4.0]


def test_losses_stay_on_the_device_of_their_network():
    """Shown with tensors that have a device and no data: any that was left on the CPU is refused."""
    detector = build("mil_ranking", segments=16, synthesis=1.0)
    network = detector.make_network(6).to("meta")
    batch, classes = torch.randn(4, 16, 6, device="meta"), torch.tensor([0, 0, 1, 2]).to("meta")
    detector._whole_loss(network, batch, classes).backward()
    assert {part.grad.device.type for part in network.parameters()} == {"meta"}
    experts = torch.rand(4, 16, 3, device="meta")
    own = gs_moe.of_expert(experts, classes)
    assert gs_moe.splat(own, peaks=2, width=1.0).device.type == "meta"
    logits = torch.randn(4, 16, 3, device="meta")
    weights = class_weights(np.array([[0, 1, 2]]), 3)
    found = cross_entropy(weights.to("meta"), lambda _rows: logits, batch, own.long())
    assert found.device.type == "meta"


@pytest.mark.parametrize("name", ["mil_ranking", "rtfm", "bn_wvad", "ur_dmu", "gs_moe"])
def test_losses_are_finite_in_mixed_precision(name):
    detector = build(name, segments=16, synthesis=1.0)
    network = detector.make_network(6)
    batch = seeded(4, 16, 6)
    with torch.autocast("cpu", torch.bfloat16):
        loss = detector._whole_loss(network, batch, torch.tensor([0, 0, 1, 2]))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(part.grad).all() for part in network.parameters())
