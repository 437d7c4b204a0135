"""The upgrade of a lake to the installed releases: databases are migrated while nothing uses them, formats are read.

upgrade     the examination of a lake, and its upgrade
databases   the schemas of its databases, and their migration
formats     what of its files this musenet reads, and what has to be made again
"""
