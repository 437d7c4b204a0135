"""Piano rolls: `piano_roll_file` draws a piece to a PNG or SVG file, `piano_roll_svg` its start as inline SVG.

`piano_roll` holds what both show. Nothing is imported here, because `piano_roll_file` needs matplotlib.
"""
