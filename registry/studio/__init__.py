"""The studio: the page on which a model is heard, and what it asks the server for besides composing.

- `web/`: its sources, `built/`: its files, which `npm run build` makes of them and `registry.serving.app` serves
- `registry.studio.routes`: its routes, `registry.studio.answers`: what they answer
- `registry.studio.soundfonts`: the instruments it plays with
- `registry.studio.samples`: samples that were composed beforehand, by `musenet studio --prepare`

It is not part of a registered version.
"""
