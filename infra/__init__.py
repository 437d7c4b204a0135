"""Infrastructure as data: DeepSpeed settings and how to deploy. Holds no code."""
