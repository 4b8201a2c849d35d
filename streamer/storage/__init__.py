"""Files that appear complete or not at all, and named objects in a folder or a bucket."""
