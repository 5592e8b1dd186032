"""The gap between two folders of images, and the report of a run."""
