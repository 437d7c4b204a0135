"""The inner critic: a small head on a trained network, which separates real music from the network's generations.

- `CriticHead`, `CriticConfig`: the head and its settings
- `fit_critic`: train a head on real and generated windows, and measure it on held-out ones (`CriticResult`)
- `label_states`: the network's states over real and generated pieces, as `fit_critic` takes them
- `window_states`, `score`: run the network over windows of pieces; score pieces by a head
- `save_critic`, `load_critic`: a head as files
"""

from modeling.criticism.fitting import CriticResult, LabelledStates, fit_critic, label_states
from modeling.criticism.head import CriticConfig, CriticHead
from modeling.criticism.scoring import score, window_states
from modeling.criticism.weights import load_critic, save_critic

__all__ = [
    "CriticConfig",
    "CriticHead",
    "CriticResult",
    "LabelledStates",
    "fit_critic",
    "label_states",
    "load_critic",
    "save_critic",
    "score",
    "window_states",
]
