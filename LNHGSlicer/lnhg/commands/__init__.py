"""The commands of the command line, a file each (or a family of them); every file has `add(commands)`."""
