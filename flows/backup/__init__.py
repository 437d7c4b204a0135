"""Backup and recovery: a lake with its databases is copied while flows run, checked, and restored elsewhere.

flow         the flow that a deployment schedules
parameters   its parameters
taking       taking a backup: databases first, then files, then the list of both
restoring    restoring a backup to a new folder, or checking it
folder, single_file   the two forms of a backup
forms        what they have in common
findings     what was wrong with the lake
lake_files   the files of a lake that others write to
left_out     what is not in a backup, and why
contents     the list of a backup's contents
"""
