"""Piano rolls, as PNG and as SVG."""
