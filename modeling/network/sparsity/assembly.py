"""From the configuration to a layout for each layer."""

from __future__ import annotations

from modeling.config import SparsityConfig
from modeling.network.sparsity.blocks import Blocks, Global, Rule, Sliding, Summaries, Windows
from modeling.network.sparsity.layouts import Column, Dense, Halves, Layout, Local, Window


def layer_layouts(config: SparsityConfig, layers: int, heads: int) -> list[Layout]:
    """The layout of each layer. Where layers alternate between two halves, the local one comes first."""
    if config.factors == "heads":
        first, second = _parts(config, heads // 2)
        cycle: list[Layout] = [Halves(first, second, heads)]
    else:
        cycle = _parts(config, heads)
    return [cycle[layer % len(cycle)] for layer in range(layers)]


def _parts(config: SparsityConfig, heads: int) -> list[Layout]:
    """The layouts that a mode is made of: two halves, or one layout for all."""
    match config.mode:
        case "dense":
            return [Dense()]
        case "local":
            return [_local(config)]
        case "strided":
            return [_local(config), Column(config.stride)]
        case "fixed":
            return _fixed(config, heads)
        case "variable":
            return [_blocks(config, heads, Windows(config.local_window_blocks), _chosen(config))]
        case "bigbird":
            return [_blocks(config, heads, Sliding(_before(config)), Global(((0, config.num_global_blocks),)))]
        case "bslongformer":
            return [Blocks(config.block, (Sliding(_before(config)), _chosen(config)))]


def _before(config: SparsityConfig) -> int:
    """Blocks of the sliding window that lie before the own one."""
    return config.num_sliding_window_blocks // 2


def _local(config: SparsityConfig) -> Layout:
    before = _before(config)
    return Local(config.block, before) if before else Window(config.block)


def _fixed(config: SparsityConfig, heads: int) -> list[Layout]:
    window, patterns = config.num_local_blocks, config.num_different_global_patterns
    summaries = Summaries(window, config.num_global_blocks, patterns)
    different = heads if config.different_layout_per_head and patterns > 1 else 1
    if config.factors == "merged":
        return [Blocks(config.block, (Windows((window,)), summaries), heads=different)]
    return [Window(config.block * window), Blocks(config.block, (summaries,), heads=different)]


def _chosen(config: SparsityConfig) -> Global:
    """The chosen global blocks, alone or as the beginnings of ranges."""
    starts, ends = config.global_block_indices, config.global_block_end_indices
    return Global(tuple(zip(starts, ends or (start + 1 for start in starts))))


def _blocks(config: SparsityConfig, heads: int, *rules: Rule) -> Layout:
    """Rules, and random blocks, which heads may draw on their own."""
    random = config.num_random_blocks
    different = heads if config.different_layout_per_head and random else 1
    return Blocks(config.block, rules, random, config.seed if random else 0, different)
