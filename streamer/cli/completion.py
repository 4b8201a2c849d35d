"""`streamer completion` prints the script that makes a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

from streamer.terminal import echo


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    r"""Print the script that makes a SHELL complete commands, options and their values.

    \b
    bash: eval "$(streamer completion bash)" in ~/.bashrc
    zsh:  eval "$(streamer completion zsh)" in ~/.zshrc
    fish: streamer completion fish > ~/.config/fish/completions/streamer.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    main = ctx.find_root().command
    echo(found(main, {}, "streamer", "_STREAMER_COMPLETE").source())
