"""The parser of command lines: as `argparse`, but it says what a mistyped flag may have meant."""

import argparse

from ..names import did_you_mean, printable

__all__ = ["ArgumentParser"]


class ArgumentParser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that suggests flags for those that it does not know."""

    def parse_args(self, args=None, namespace=None):
        """Parse the command line; unknown flags end the program, with suggestions."""
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            hints = [self._hint(word) for word in unknown if word.startswith("--")]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{''.join(hints)}")
        return arguments

    def error(self, message):
        """End the program with a message."""
        super().error(printable(message))

    def _hint(self, word):
        flag = word.partition("=")[0].lower().replace("_", "-")
        return did_you_mean(flag, [known for known in self._option_string_actions if known.startswith("--")])
