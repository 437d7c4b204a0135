"""The layouts of a model's layers, built from the configuration."""

from __future__ import annotations

from modeling.config import SparsityConfig
from modeling.network.sparsity.blocks import Blocks, Global, LocalWindows, Rule, Sliding, Summaries
from modeling.network.sparsity.layouts import BlockDiagonal, Column, Dense, Halves, Layout, Local


def layer_layouts(config: SparsityConfig, layers: int, heads: int) -> list[Layout]:
    """Return the layout of each layer. Where layers alternate between two factors, the local one comes first."""
    if config.factors == "heads":
        first, second = _factors(config, heads // 2)
        cycle: list[Layout] = [Halves(first, second, heads)]
    else:
        cycle = _factors(config, heads)
    return [cycle[layer % len(cycle)] for layer in range(layers)]


def _factors(config: SparsityConfig, heads: int) -> list[Layout]:
    """Return the layouts of a mode: its two factors, or a single one."""
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
            return [_blocks(config, heads, LocalWindows(config.local_window_blocks), _chosen_global(config))]
        case "bigbird":
            return [_blocks(config, heads, Sliding(_before(config)), Global(((0, config.num_global_blocks),)))]
        case "bslongformer":
            return [Blocks(config.block, (Sliding(_before(config)), _chosen_global(config)))]


def _before(config: SparsityConfig) -> int:
    """Return the number of blocks of the sliding window that precede the own one."""
    return config.num_sliding_window_blocks // 2


def _local(config: SparsityConfig) -> Layout:
    before = _before(config)
    return Local(config.block, before) if before else BlockDiagonal(config.block)


def _fixed(config: SparsityConfig, heads: int) -> list[Layout]:
    window, patterns = config.num_local_blocks, config.num_different_global_patterns
    summaries = Summaries(window, config.num_global_blocks, patterns)
    different = heads if config.different_layout_per_head and patterns > 1 else 1
    if config.factors == "merged":
        return [Blocks(config.block, (LocalWindows((window,)), summaries), heads=different)]
    return [BlockDiagonal(config.block * window), Blocks(config.block, (summaries,), heads=different)]


def _chosen_global(config: SparsityConfig) -> Global:
    """Return the chosen global blocks, as ranges."""
    starts, ends = config.global_block_indices, config.global_block_end_indices
    return Global(tuple(zip(starts, ends or (start + 1 for start in starts))))


def _blocks(config: SparsityConfig, heads: int, *rules: Rule) -> Layout:
    """Combine rules with random blocks, which may differ by head."""
    random = config.num_random_blocks
    different = heads if config.different_layout_per_head and random else 1
    return Blocks(config.block, rules, random, config.seed if random else 0, different)
