"""The starter model: the recipe by which it is made, from a folder of free music to the file that is shipped."""
