"""One stitch as a file that other programs run."""
