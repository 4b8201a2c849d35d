"""Draws what run.py found: JSON on standard input, PNG to the path given."""

import json
import sys

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

lines = json.load(sys.stdin)[::-1]
rates = [line["samples_per_second"] / 1000 for line in lines]
colors = ["#c8553d" if "streamer" in line["program"] else "#9aa5b1" for line in lines]
figure, axes = plt.subplots(figsize=(9, 0.5 * len(lines) + 1.2), layout="constrained")
bars = axes.barh([f"{line['program']}\n{line['does']}" for line in lines], rates, color=colors)
axes.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=4)
axes.set_xlabel("thousand samples a second, all 561 features, one machine with two cores")
axes.spines[["top", "right"]].set_visible(False)
axes.tick_params(axis="y", length=0, labelsize=8)
figure.savefig(sys.argv[1], dpi=110)
