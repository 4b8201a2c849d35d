"""``python -m streamer``: the command line without its script."""

from streamer.cli import main

if __name__ == "__main__":
    main()
