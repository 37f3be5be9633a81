"""How the scripts here tell of a command line that is wrong: on one line, with exit status 2."""

import argparse


class Parser(argparse.ArgumentParser):
    """Its help is the script's own text."""

    def __init__(self, description):
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")
