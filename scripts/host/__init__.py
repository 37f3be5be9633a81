"""What scripts/host-check and scripts/host-tune are made of: reading a machine, judging it, changing it."""


class Wrong(Exception):
    """It was asked for something that cannot be done; the message is for whoever asked."""
