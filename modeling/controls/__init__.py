"""Musical controls: wishes about the music that change how likely each id is, before one is drawn.

`Controls` says what is wished for, `Blend` mixes styles, and `adjustments.Adjustments` applies controls to the logits
of a batch of growing pieces. Hard limits take ids out, soft ones add a bias in nats. Nothing here needs torch, so that
requests can be checked before anything is loaded.
"""

from modeling.controls.blend import Blend, parse_blend
from modeling.controls.wishes import BEATS_PER_BAR, FORM_NATS, Controls, read_by

__all__ = ["BEATS_PER_BAR", "FORM_NATS", "Blend", "Controls", "parse_blend", "read_by"]
