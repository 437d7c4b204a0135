"""The examination of a set-up: what works, what does not, and how to mend it.

- `checks`: one function for each subject, all of them with their findings (`Finding`)
"""
