"""The inner critic: it says at every position of a piece how likely what it has heard so far is real music.

- `Critic`: a network, a `CriticHead` on its states, and a `Calibration`; `save_critic`, `load_critic`, `read_auc`: as
  files
- `judge`: windows over whole pieces → a `Judgement` each: a score, and a curve along the piece
- `Window`, `Lessons`, `Generated`: what a critic hears, and what it learns from: real windows beside generations and
  damaged pieces under the same headers
- `ASPECTS`, `hear_aspects`, `judge_aspects`: whether music is in its own order, for its instruments and in its style
- `new_critic`, `fit_critic`: its training beside a finished network; `fit_calibration`: probabilities that hold
- `auc`, `expected_calibration_error`: how good it is
"""

from modeling.config.critic import CriticConfig
from modeling.criticism.aspects import ASPECTS, Aspect, hear_aspects, judge_aspects
from modeling.criticism.calibration import (
    Calibration,
    calibration_floor,
    expected_calibration_error,
    fit_calibration,
    probability,
)
from modeling.criticism.critic import (
    CRITIC_CONFIG,
    CRITIC_WEIGHTS,
    Critic,
    load_critic,
    new_head,
    read_auc,
    read_head,
    save_critic,
)
from modeling.criticism.figures import Estimate, Scored, auc, share_below
from modeling.criticism.fitting import fit_critic, new_critic
from modeling.criticism.lessons import Generated, Lessons
from modeling.criticism.scoring import (
    Judgement,
    final_logits,
    hear_prefixes,
    judge,
    judge_windows,
    prefix_sizes,
    window_starts,
)
from modeling.criticism.windows import Window, batch_of, labels_of
from modeling.network.critic_head import CriticHead

__all__ = [
    "ASPECTS",
    "CRITIC_CONFIG",
    "CRITIC_WEIGHTS",
    "Aspect",
    "Calibration",
    "Critic",
    "CriticConfig",
    "CriticHead",
    "Estimate",
    "Generated",
    "Judgement",
    "Lessons",
    "Scored",
    "Window",
    "auc",
    "batch_of",
    "calibration_floor",
    "expected_calibration_error",
    "final_logits",
    "fit_calibration",
    "fit_critic",
    "hear_aspects",
    "hear_prefixes",
    "judge",
    "judge_aspects",
    "judge_windows",
    "labels_of",
    "load_critic",
    "new_critic",
    "new_head",
    "prefix_sizes",
    "probability",
    "read_auc",
    "read_head",
    "save_critic",
    "share_below",
    "window_starts",
]
